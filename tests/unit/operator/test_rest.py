"""When only news can change what is to be done for a runner and for how long, and when it is looked at again."""

from dataclasses import replace
from typing import Any

import pytest

from pynenc_operator.conditions import Facts, Problem
from pynenc_operator.decision import Create, Decision
from pynenc_operator.model import Failures, Orphans, QueueDepth, Trouble
from pynenc_operator.reason import Reason
from pynenc_operator.rest import REST_SECONDS, is_at_rest, until_next_look
from pynenc_operator.runnerspec import RunnerSpec
from pynenc_worker.contract import WorkerState
from tests.unit.operator.builders import NOW, active, idle, pod, reporting, seen, starting

SPEC = RunnerSpec(min_replicas=1, max_replicas=5, idle_timeout_seconds=60)
EMPTY = seen()
STEADY = Reason.STEADY
NOTHING = Decision(0, STEADY)
FACTS = Facts(template_valid=True)
PROBLEM = Problem("X", "x")


def test_without_pods_and_work_it_rests() -> None:
    assert is_at_rest(EMPTY, NOTHING, FACTS)


def test_with_workers_that_are_at_work_it_rests() -> None:
    assert is_at_rest(seen(active("a"), active("b")), Decision(2, STEADY), FACTS)


def test_with_idle_workers_it_rests() -> None:
    assert is_at_rest(seen(active("a"), idle("b", 45)), Decision(2, STEADY), FACTS)


def test_pods_that_are_always_kept_may_be_idle_for_ever() -> None:
    kept = seen(idle("a", 1000))
    assert until_next_look(SPEC, kept, Decision(1, STEADY), FACTS, NOW, told=True) == REST_SECONDS


def test_it_rests_until_the_next_idle_timeout_is_over() -> None:
    pods = seen(active("a"), idle("b", 45), idle("c", 50), idle("d", 61))
    pause = until_next_look(SPEC, pods, Decision(4, STEADY), FACTS, NOW, told=True)
    assert pause == pytest.approx(10, abs=0.02)


def test_the_look_after_an_idle_timeout_finds_it_over() -> None:
    """At the instant itself it is not: such looks would follow each other without a pause."""
    for worker in (idle("b", 60), idle("b", 59.9)):
        pause = until_next_look(SPEC, seen(worker), Decision(1, STEADY), FACTS, NOW, told=True)
        assert worker.status
        assert pause > 0
        assert worker.status.is_idle(NOW + pause, SPEC.idle_timeout_seconds)


def test_an_idle_timeout_that_is_over_before_the_interval_is_not_waited_for_longer() -> None:
    at_work = replace(seen(active("a"), idle("b", 59.7)), depth=QueueDepth(1, 1))
    for told in (True, False):
        pause = until_next_look(SPEC, at_work, Decision(2, STEADY), FACTS, NOW, told=told)
        assert pause == pytest.approx(0.3, abs=0.02), told


def test_the_interval_is_kept_but_at_rest_where_news_comes_by_itself() -> None:
    pods = seen(active("a"), idle("b", 1))
    queued = replace(pods, depth=QueueDepth(1, 1))
    for interval in (3, 30):
        spec = replace(SPEC, poll_interval_seconds=interval)
        assert until_next_look(spec, pods, Decision(2, STEADY), FACTS, NOW, told=True) == max(20, interval)
        assert until_next_look(spec, pods, Decision(2, STEADY), FACTS, NOW, told=False) == interval
        assert until_next_look(spec, queued, Decision(2, STEADY), FACTS, NOW, told=True) == interval


@pytest.mark.parametrize(
    "other",
    [
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
    assert not is_at_rest(replace(EMPTY, **other), NOTHING, FACTS)


@pytest.mark.parametrize(
    "other",
    [
        pod("a"),  # its container has not started
        starting("a"),
        active("a", terminating=True),
        active("a", ended=True),
        active("a", trouble=Trouble("CrashLoopBackOff", "x")),
        active("a", template_hash="older"),
        active("a", drain_request="idle.1"),
        reporting("a", WorkerState.DRAINED, drain_request="idle.1", drain_answer="idle.1"),
        reporting("a", WorkerState.DRAINING, threads=1),  # the request was taken back, and it has not said so yet
        active("a", recover=("dead",)),
    ],
    ids=range(10),
)
def test_with_a_pod_that_something_is_to_come_of_it_does_not(other: Any) -> None:
    assert not is_at_rest(seen(active("b"), other), Decision(2, STEADY), FACTS)


@pytest.mark.parametrize(
    "decision", [Decision(1, Reason.MIN_REPLICAS), Decision(0, Reason.NOT_NEEDED, create=Create(1, Reason.NOT_NEEDED))]
)
def test_with_something_to_do_it_does_not(decision: Decision) -> None:
    assert not is_at_rest(EMPTY, decision, FACTS)


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
    assert not is_at_rest(EMPTY, NOTHING, facts)
