"""Rule 7: what a failure is, how rarely a failing template is tried, and what clears it."""

from dataclasses import replace

import pytest

from pynenc_operator.failures import assess, retry_after, trials_left, trouble_of
from pynenc_operator.model import Failures, Observation, Trouble, WorkerPod, WorkerStatus
from pynenc_operator.reason import Reason
from pynenc_operator.runnerspec import RunnerSpec
from pynenc_operator.scaling import decide
from pynenc_worker.contract import WorkerState
from tests.unit.operator.builders import NOW, idle, pod, reporting, seen, starting

SPEC = RunnerSpec()


def crashed(name: str, *, created: float, ended: float, **fields: object) -> WorkerPod:
    """A pod that never reported; times are seconds ago."""
    return starting(name, created=NOW - created, ended=True, failed=True, ended_at=NOW - ended, **fields)


def failing(count: int, ago: float, *pods: WorkerPod, depth: int = 1) -> Observation:
    return seen(*pods, depth=depth, failures=Failures("t1", count, NOW - ago))


def test_a_wave_that_fails_together_is_one_failure() -> None:
    wave = [crashed(f"p{n}", created=30, ended=20 - n) for n in range(6)]
    assert assess(SPEC, seen(*wave), NOW) == Failures("t1", 1, NOW - 20)


def test_a_pod_created_after_the_last_failure_adds_one() -> None:
    later = crashed("p1", created=10, ended=5)
    assert assess(SPEC, failing(1, 20, later), NOW) == Failures("t1", 2, NOW - 5)


def test_what_is_counted_is_not_counted_again() -> None:
    observed = seen(crashed("p0", created=30, ended=20))
    known = assess(SPEC, observed, NOW)
    assert assess(SPEC, replace(observed, failures=known), NOW + 60) == known


@pytest.mark.parametrize(
    ("fields", "fails"),
    [
        ({"status": None}, True),
        ({"status": None, "disrupted": True}, False),
        ({"status": None, "terminating": True}, False),
        ({"template_hash": "older", "status": None}, False),
        ({"started_at": NOW - 30}, True),
        ({"started_at": NOW - 300}, False),
    ],
)
def test_a_failure_is_a_pod_that_never_reported_or_ended_early(fields: dict[str, object], fails: bool) -> None:  # noqa: FBT001
    values = {"status": WorkerStatus(NOW - 9, 1, WorkerState.ACTIVE), "started_at": NOW - 30, **fields}
    ended = pod("p0", created=NOW - 310, ended=True, ended_at=NOW - 5, **values)
    assert bool(assess(SPEC, seen(ended), NOW)) is fails


def test_a_worker_that_drained_has_not_failed() -> None:
    left = reporting("p0", WorkerState.DRAINED, ended=True, ended_at=NOW - 5, started_at=NOW - 9)
    assert assess(SPEC, seen(left), NOW) is None


def test_a_pod_that_is_silent_past_its_deadline_has_failed() -> None:
    spec = RunnerSpec(start_deadline_seconds=30)
    assert assess(spec, seen(pod("p0", created=NOW - 31)), NOW) == Failures("t1", 1, NOW - 1)


def test_a_pod_that_started_later_and_has_lived_a_minute_clears_them() -> None:
    young = idle("p0", created=NOW - 50, started_at=NOW - 50)
    grown = idle("p0", created=NOW - 70, started_at=NOW - 60)
    old = idle("p0", created=NOW - 900, started_at=NOW - 900)
    assert assess(SPEC, failing(2, 80, young), NOW)
    assert assess(SPEC, failing(2, 80, grown), NOW) is None
    assert assess(SPEC, failing(2, 80, old), NOW)


def test_a_new_template_clears_them() -> None:
    assert assess(SPEC, replace(failing(3, 10), template="t2"), NOW) is None


@pytest.mark.parametrize(("count", "pause"), [(1, 5), (2, 20), (3, 80), (4, 300), (9, 300)])
def test_a_failing_template_is_tried_ever_more_rarely(count: int, pause: float) -> None:
    assert retry_after(count) == pause
    assert trials_left(failing(count, pause - 1), NOW) == 0
    assert trials_left(failing(count, pause), NOW) == 1


def test_one_pod_is_tried_at_a_time_and_the_limit_is_told() -> None:
    observed = failing(1, 60, depth=8)
    decision = decide(SPEC, observed, NOW)
    assert decision.create
    assert (decision.create.count, decision.limited) == (1, Reason.START_FAILURES)
    on_trial = failing(1, 60, pod("p0", created=NOW - 3), depth=8)
    assert decide(SPEC, on_trial, NOW).create is None


def test_at_most_five_pods_are_made_of_a_broken_template_in_the_ten_minutes_after_its_first_wave() -> None:
    pods: list[WorkerPod] = [crashed(f"first-{n}", created=2, ended=0) for n in range(6)]
    failures, tries = None, 0
    for second in range(600):
        now = NOW + second
        observed = seen(*pods, depth=6, failures=failures)
        failures = assess(SPEC, observed, now)
        create = decide(SPEC, replace(observed, failures=failures), now).create
        if create:
            tries += create.count
            pods.append(replace(crashed(f"try-{tries}", created=0, ended=0), created=now, ended_at=now + 2))
    assert 3 <= tries <= 5


def test_the_platforms_own_words_are_kept() -> None:
    pulling = pod("p0", trouble=Trouble("ImagePullBackOff", "no such image"))
    assert trouble_of(seen(pulling)) == Trouble("ImagePullBackOff", "p0: no such image")
    assert trouble_of(seen(crashed("p0", created=9, ended=5, trouble=Trouble("Error", "exit code 1")))) is None


def test_a_failure_that_was_cleared_does_not_come_back_from_the_pods_that_are_kept_for_their_logs() -> None:
    assert assess(SPEC, seen(crashed("p0", created=700, ended=600)), NOW) is None


def test_a_pod_that_left_in_order_proves_as_much_as_one_that_lives_for_a_minute() -> None:
    left = reporting("a", WorkerState.DRAINED, started_at=NOW - 10)
    assert assess(SPEC, failing(3, 20, left), NOW) is None
    assert assess(SPEC, failing(3, 5, left), NOW) is not None  # it started before the last failure
    short = reporting("a", WorkerState.IDLE, started_at=NOW - 10)
    assert assess(SPEC, failing(3, 20, short), NOW) is not None
