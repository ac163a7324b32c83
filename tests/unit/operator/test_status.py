"""What a runner's status says, and when it is worth a request."""

from dataclasses import replace
from typing import Any

import pytest

from pynenc_operator.conditions import Facts, Problem, Report
from pynenc_operator.decision import Decision
from pynenc_operator.model import Key, QueueDepth
from pynenc_operator.pool import classify
from pynenc_operator.reason import Reason
from pynenc_operator.runnerspec import Mode, RunnerSpec
from pynenc_operator.status import compute_status, learn_start_seconds, patch_for
from tests.unit.operator.builders import NOW, active, idle, seen

SPEC = RunnerSpec()
OK = Facts(template_valid=True)


def report(**fields: Any) -> Report:
    pods = classify(SPEC, seen(active("a"), idle("b", ready=True)), NOW)
    values: dict[str, Any] = {
        "key": Key("shop", "reports"),
        "generation": 3,
        "spec": SPEC,
        "pool": pods,
        "decision": Decision(desired=2, reason=Reason.STEADY),
        "depth": QueueDepth(4, 4),
        "facts": OK,
    }
    return Report(**{**values, **fields})


def condition(status: dict[str, Any], kind: str) -> tuple[str, str]:
    [found] = [c for c in status["conditions"] if c["type"] == kind]
    return found["status"], found["reason"]


def test_a_status_counts_the_pool() -> None:
    status = compute_status({}, report(), NOW)
    assert (status["replicas"], status["readyReplicas"], status["desiredReplicas"]) == (2, 1, 2)
    assert (status["activeReplicas"], status["idleReplicas"], status["drainingReplicas"]) == (1, 1, 0)
    assert (status["queueDepth"], status["observedGeneration"]) == (4, 3)


@pytest.mark.parametrize(
    ("fields", "ready"),
    [
        ({}, ("True", "Serving")),
        ({"pool": classify(SPEC, seen(), NOW)}, ("True", "AtZero")),
        ({"spec": replace(SPEC, mode=Mode.PAUSED)}, ("False", "Paused")),
        ({"spec": replace(SPEC, mode=Mode.SHADOW)}, ("False", "Shadow")),
        ({"facts": replace(OK, broker=Problem("Timeout", "m"))}, ("False", "BrokerUnreachable")),
        ({"facts": Facts(template=Problem("Rejected", "m"))}, ("False", "TemplateInvalid")),
    ],
)
def test_ready_says_whether_work_would_be_served(fields: dict[str, Any], ready: tuple[str, str]) -> None:
    assert condition(compute_status({}, report(**fields), NOW), "Ready") == ready


def test_an_unknown_depth_is_left_out_and_not_zero() -> None:
    facts = replace(OK, broker=Problem("Unreachable", "m"))
    status = compute_status({}, report(depth=None, facts=facts), NOW)
    assert "queueDepth" not in status
    assert condition(status, "BrokerReachable") == ("False", "Unreachable")


def test_a_transition_time_moves_only_with_the_status() -> None:
    first = compute_status({}, report(), NOW)
    later = compute_status(first, report(facts=replace(OK, broker=Problem("Timeout", "m"))), NOW + 60)
    times = [{c["type"]: c["lastTransitionTime"] for c in s["conditions"]} for s in (first, later)]
    assert times[0]["TemplateValid"] == times[1]["TemplateValid"]
    assert times[0]["Ready"] != times[1]["Ready"]


def test_nothing_new_is_not_written() -> None:
    status = compute_status({}, report(), NOW)
    again = compute_status(status, report(), NOW + 60)
    assert patch_for(status, again, 60) is None


def test_a_queue_depth_alone_waits_but_goes_out_with_other_changes() -> None:
    status = compute_status({}, report(), NOW)
    deeper = {**status, "queueDepth": 9}
    assert patch_for(status, deeper, 9) is None
    assert patch_for(status, deeper, 10) == {"queueDepth": 9}
    assert patch_for(status, {**deeper, "replicas": 3}, 0) == {"queueDepth": 9, "replicas": 3}


def test_what_is_no_longer_known_is_removed() -> None:
    assert patch_for({"queueDepth": 4}, {}, 60) == {"queueDepth": None}


def test_scaling_is_remembered_with_its_reason() -> None:
    scaled = compute_status({}, report(scaled=True, decision=Decision(3, Reason.QUEUE_DEPTH)), NOW)
    assert scaled["lastScaleReason"] == "QueueDepth"
    assert compute_status(scaled, report(), NOW + 60)["lastScaleTime"] == scaled["lastScaleTime"]


@pytest.mark.parametrize(
    ("known", "seen_now", "learned"),
    [(None, 3.04, 4), (3, None, 3), (3, 8.0, 8), (8, 3.0, 7), (4, 3.0, 3), (None, None, None)],
)
def test_a_start_is_learned_as_a_slowly_decaying_maximum(
    known: int | None, seen_now: float | None, learned: int | None
) -> None:
    assert learn_start_seconds(known, seen_now) == learned
