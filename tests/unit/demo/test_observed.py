from typing import Any

import pytest

from examples.demo.observed import PodState
from examples.demo.streams import LOG, PODS
from tests.unit.demo.lines import Feed, event, pod

DELETING = {"metadata": {"deletionTimestamp": "2026-01-01T00:01:00Z"}}
ASKED = {"annotations": {"pynenc.org/drain-request": "idle.1"}}
TERMINATED = {"name": "worker", "state": {"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T00:01:00Z"}}}
ENDED = {"status": {"containerStatuses": [TERMINATED]}}


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (pod("ADDED", "a"), PodState.STARTING),
        (pod("ADDED", "a", "idle"), PodState.IDLE),
        (pod("ADDED", "a", "active"), PodState.ACTIVE),
        (pod("ADDED", "a", "idle", **ASKED), PodState.DRAINING),
        (pod("ADDED", "a", "draining"), PodState.DRAINING),
        (pod("ADDED", "a", "drained", **ASKED), PodState.DRAINING),
        (pod("ADDED", "a", "drained", **DELETING), PodState.TERMINATING),
        (pod("ADDED", "a", "active", **DELETING), PodState.TERMINATING),
        (pod("ADDED", "a", "drained", **ENDED), PodState.ENDED),
    ],
)
def test_a_pod_is_in_one_state(change: dict[str, Any], state: PodState) -> None:
    feed = Feed()
    feed.pods(1.0, change)
    assert feed.seen.pods == {"a": state}


def test_the_first_pod_is_the_first_seen_and_the_peak_counts_only_living_ones() -> None:
    feed = Feed()
    feed.pods(5.0, pod("ADDED", "a"))
    feed.pods(5.5, pod("ADDED", "b"))
    feed.pods(6.0, pod("MODIFIED", "a", "drained", **DELETING))
    feed.pods(6.5, pod("ADDED", "c"))
    assert feed.seen.first_pod_at == 5.0
    assert feed.seen.peak_pods == 2
    assert feed.seen.count(PodState.STARTING) == 2


def test_the_pool_is_empty_from_its_last_deletion_until_another_pod_comes() -> None:
    feed = Feed()
    feed.pods(1.0, pod("ADDED", "a"), pod("ADDED", "b"))
    feed.pods(2.0, pod("DELETED", "a"))
    assert feed.seen.emptied_at is None
    feed.pods(3.0, pod("DELETED", "b"))
    assert feed.seen.emptied_at == 3.0
    feed.pods(4.0, pod("ADDED", "a"))
    assert feed.seen.emptied_at is None


def test_a_watch_that_starts_anew_forgets_the_pods_that_went_meanwhile() -> None:
    feed = Feed()
    feed.pods(1.0, pod("ADDED", "a"), pod("ADDED", "b"))
    feed.restart(PODS, 2.0)
    feed.pods(2.1, pod("ADDED", "b"))
    assert list(feed.seen.pods) == ["b"]
    assert feed.seen.peak_pods == 2
    assert feed.seen.first_pod_at == 1.0


def test_an_error_in_a_watch_is_no_pod() -> None:
    feed = Feed()
    feed.pods(1.0, {"type": "ERROR", "object": {"kind": "Status", "code": 410}}, {"type": "BOOKMARK", "object": {}})
    assert feed.seen.pods == {}


def test_only_the_present_runner_counts() -> None:
    feed = Feed()
    feed.runner(1.0, desiredReplicas=4)
    feed.runner(1.1, uid="an earlier one", desiredReplicas=9)
    feed.events(2.0, event("old", "2026-01-01T00:00:00Z", uid="an earlier one"))
    feed.events(2.0, event("second", "2026-01-01T00:00:02Z"), event("first", "2026-01-01T00:00:01Z"))
    assert feed.seen.status["desiredReplicas"] == 4
    assert [doing.note for doing in feed.seen.newest_doings(5)] == ["note of first", "note of second"]
    assert [doing.note for doing in feed.seen.newest_doings(1)] == ["note of second"]


def test_the_producers_log_tells_tasks_executions_and_ends() -> None:
    feed = Feed()
    feed.log(10.2, {"enqueued": ["x", "y"], "begun": 10.0, "ended": 10.1})
    feed.log(11.0, {"execution": {"task": "short", "name": "x", "pod": "reports-0", "started": 10.9}})
    feed.log(12.0, {"final": "x", "status": "success", "at": 11.9}, {"at": 11.95, "queued": 1}, "a warning\n")
    assert not feed.seen.all_final
    assert (feed.seen.begun, feed.seen.queued, feed.seen.looked_at) == (10.0, 1, 11.95)
    assert feed.seen.said == ["a warning"]
    feed.log(13.0, {"final": "y", "status": "failed", "at": 12.9})
    assert feed.seen.all_final
    assert feed.seen.finals["y"].status == "failed"


def test_a_log_that_is_read_again_counts_once() -> None:
    feed = Feed()
    told = {"execution": {"name": "x", "pod": "reports-0", "started": 10.9}}
    feed.log(11.0, {"enqueued": ["x"], "begun": 10.0, "ended": 10.1}, told)
    feed.restart(LOG, 12.0)
    feed.log(12.1, {"enqueued": ["x"], "begun": 10.0, "ended": 10.1}, told)
    assert [execution.name for execution in feed.seen.executions] == ["x"]


def test_clocks_that_cannot_be_told_apart_are_one() -> None:
    feed = Feed()
    feed.log(100.7, {"at": 100.0, "queued": 0})
    feed.log(101.1, {"at": 101.0, "queued": 0})
    assert feed.seen.skew == 0.0


@pytest.mark.parametrize("ahead", [30.0, -30.0])
def test_a_producer_with_another_clock_shows_by_its_fastest_line(ahead: float) -> None:
    feed = Feed()
    feed.log(100.7 + ahead, {"at": 100.0, "queued": 0})
    feed.log(101.1 + ahead, {"at": 101.0, "queued": 0})
    assert feed.seen.skew == pytest.approx(ahead + 0.1)
