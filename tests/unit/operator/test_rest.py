"""When only news can change what is to be done for a runner."""

from dataclasses import replace
from typing import Any

import pytest

from pynenc_operator.conditions import Facts, Problem
from pynenc_operator.decision import Create, Decision
from pynenc_operator.model import Failures, Observation, Orphans, QueueDepth
from pynenc_operator.reason import Reason
from pynenc_operator.rest import at_rest
from tests.unit.operator.builders import idle

SEEN = Observation(pods=(), depth=QueueDepth(0, 0), template="t")
DECISION = Decision(0, Reason.NOT_NEEDED)
FACTS = Facts(template_valid=True)
PROBLEM = Problem("X", "x")


def test_without_pods_and_work_it_rests() -> None:
    assert at_rest(SEEN, DECISION, FACTS)


@pytest.mark.parametrize(
    "other",
    [
        {"pods": (idle("a"),)},
        {"depth": None},
        {"depth": QueueDepth(1, 1)},
        {"depth": QueueDepth(0, 1)},  # there was some a moment ago
        {"vanished": ("uid",)},
        {"orphans": Orphans(1, 0.0)},
        {"failures": Failures("t", 1, 0.0)},
        {"broker_down_since": 0.0},
        {"not_consumed_since": 0.0},
        {"hang_suspected_at": 0.0},
        {"recovery_since": 0.0},
        {"creation_held": True},
        {"quota_full": True},
    ],
    ids=lambda other: next(iter(other)),
)
def test_with_what_time_may_change_it_does_not(other: dict[str, Any]) -> None:
    assert not at_rest(replace(SEEN, **other), DECISION, FACTS)


@pytest.mark.parametrize(
    "decision", [Decision(1, Reason.MIN_REPLICAS), Decision(0, Reason.NOT_NEEDED, create=Create(1, Reason.NOT_NEEDED))]
)
def test_with_something_to_do_it_does_not(decision: Decision) -> None:
    assert not at_rest(SEEN, decision, FACTS)


@pytest.mark.parametrize(
    "facts",
    [
        Facts(),
        Facts(template_valid=False),
        replace(FACTS, broker=PROBLEM),
        replace(FACTS, template=PROBLEM),
        replace(FACTS, name_taken=PROBLEM),
    ],
)
def test_with_a_problem_it_does_not(facts: Facts) -> None:
    assert not at_rest(SEEN, DECISION, facts)
