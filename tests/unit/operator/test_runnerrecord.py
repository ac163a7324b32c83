"""What is counted of a runner's pods, look by look."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from pynenc_operator.conditions import Facts, Problem, Report
from pynenc_operator.decision import CancelDrain, Create, Decision, Delete, Drain, Step
from pynenc_operator.model import DrainCause, DrainRequest, Key, QueueDepth, Trouble, WorkerPod
from pynenc_operator.pool import classify
from pynenc_operator.reason import Reason
from pynenc_operator.runnerrecord import START_FAILURES, Look, RunnerRecord, drain_result, start_failure
from pynenc_operator.runnerspec import RunnerSpec
from pynenc_worker.contract import WorkerState
from tests.unit.operator.builders import NOW, active, idle, pod, reporting, seen, starting

SPEC = RunnerSpec()
STEADY = Decision(desired=0, reason=Reason.STEADY)
UP = Decision(desired=1, reason=Reason.QUEUE_DEPTH, create=Create(1, Reason.QUEUE_DEPTH))
REQUEST = DrainRequest(DrainCause.IDLE, NOW)


class Story:
    """One record, and the looks it is told of."""

    def __init__(self) -> None:
        self.record = RunnerRecord({}, 3600.0)

    def look(
        self,
        *pods: WorkerPod,
        at: float = 0.0,
        decision: Decision = STEADY,
        created: Iterable[str] = (),
        done: Iterable[Step] = (),
        took: float = 0.0,
        facts: Facts | None = None,
    ) -> None:
        """A look that begins `at` seconds after NOW and takes `took` seconds."""
        now = NOW + at
        self.record.begins({}, 3600.0, now)
        now += took
        if decision.acts:
            self.record.acted(decision, created, done, now)
        report = Report(
            key=Key("shop", "reports"),
            generation=1,
            spec=SPEC,
            pool=classify(SPEC, seen(*pods), now),
            decision=decision,
            depth=None if facts else QueueDepth(0, 0),
            facts=facts or Facts(),
        )
        self.record.looked(Look(report, (), pods), now)

    def count(self, *name: str) -> int:
        return self.record.counts[name]


@pytest.fixture
def story() -> Story:
    return Story()


def test_a_decision_is_counted_when_it_is_carried_out_and_what_holds_the_pool_when_it_begins(story: Story) -> None:
    held = replace(STEADY, limited=Reason.MAX_REPLICAS)
    story.look(decision=UP, created=["uid-a"])
    for second in range(5):
        story.look(starting("a"), at=second, decision=held)
    story.look(starting("a"), at=6)
    story.look(starting("a"), at=7, decision=held)
    assert story.count("scale_decisions", "up", "QueueDepth") == 1
    assert story.count("scale_decisions", "hold", "MaxReplicas") == 2
    assert story.count("pods_created") == 1


def test_steps_count_by_direction_and_pods_whose_life_is_over_scale_nothing(story: Story) -> None:
    idler, old, gone = idle("a"), pod("b"), idle("c", ended=True)
    steps: dict[str, Any] = {
        "drains": (Drain(idler, REQUEST, Reason.IDLE_TIMEOUT),),
        "deletes": (Delete(old, Reason.NOT_NEEDED), Delete(gone, Reason.ENDED)),
    }
    story.look(idler, decision=replace(STEADY, **steps), done=[*steps["drains"], *steps["deletes"]])
    back = CancelDrain(idler, Reason.QUEUE_DEPTH)
    story.look(idler, decision=replace(STEADY, cancels=(back,)), done=[back])
    counted = {name: n for name, n in story.record.counts.items() if name[0] == "scale_decisions" and n}
    assert counted == {
        ("scale_decisions", "down", "IdleTimeout"): 1,
        ("scale_decisions", "down", "NotNeeded"): 1,
        ("scale_decisions", "up", "QueueDepth"): 1,
    }
    assert (story.count("pods_deleted", "NotNeeded"), story.count("pods_deleted", "Ended")) == (1, 1)


def test_a_scale_up_takes_from_the_look_that_found_the_demand_to_the_workers_first_report(story: Story) -> None:
    story.look(pod("a", created=NOW), decision=UP, created=["uid-a"], took=0.5)
    story.look(pod("a", created=NOW), at=1)
    story.look(idle("a", created=NOW), at=4)
    story.look(idle("a", created=NOW), at=5)
    assert (story.record.scale_up.total, story.record.pod_start.total) == (4.0, 4.0)
    assert story.record.scale_up.cumulative()[-1] == ("+Inf", 1.0)


def test_demand_that_a_quota_keeps_unmet_waits_since_it_was_first_seen(story: Story) -> None:
    story.look(decision=replace(STEADY, limited=Reason.QUOTA))
    story.look(at=10, decision=replace(STEADY, limited=Reason.QUOTA))
    story.look(pod("a"), at=20, decision=UP, created=["uid-a"])
    story.look(active("a"), at=25)
    assert story.record.scale_up.total == 25.0


def test_each_demand_has_its_own_beginning_and_the_maximum_is_no_slowness(story: Story) -> None:
    story.look(pod("a"), decision=UP, created=["uid-a"])
    story.look(pod("a"), pod("b"), at=1, decision=UP, created=["uid-b"])
    story.look(active("a"), pod("b"), at=3, decision=replace(STEADY, limited=Reason.MAX_REPLICAS))
    story.look(active("a"), active("b"), pod("c"), at=60, decision=UP, created=["uid-c"])
    story.look(active("a"), active("b"), active("c"), at=62)
    assert story.record.scale_up.total == 3.0 + 59.0 + 2.0


def test_pods_for_the_floor_start_and_are_no_scale_up(story: Story) -> None:
    story.look(pod("a"), decision=replace(UP, create=Create(1, Reason.MIN_REPLICAS)), created=["uid-a"])
    story.look(idle("a", created=NOW), at=2)
    assert story.record.pod_start.total == 2.0
    assert story.record.scale_up.total == 0.0


def test_what_is_found_at_the_first_look_has_happened_before(story: Story) -> None:
    broken = pod("a", trouble=Trouble("ImagePullBackOff", "m"))
    ended = reporting("b", WorkerState.DRAINED, drain_request=REQUEST.id, ended=True)
    medic = idle("c", recovered=("dead",))
    story.look(broken, ended, medic)
    story.look(broken, ended, medic, at=1)
    assert not any(story.record.counts.values())
    assert story.record.pod_start.total == 0.0


def test_a_pod_that_fails_to_start_counts_once(story: Story) -> None:
    story.look()
    for second in range(3):
        story.look(pod("a", trouble=Trouble("ImagePullBackOff", "m")), at=second)
    failed = pod("a", trouble=Trouble("ImagePullBackOff", "m"))
    story.look(failed, at=3, decision=replace(STEADY, deletes=(gone := Delete(failed, Reason.SILENT),)), done=[gone])
    assert story.count("pod_start_failures", "ImagePull") == 1
    story.record.refused("Quota")
    assert story.count("pod_start_failures", "Quota") == 1


UNSCHEDULABLE = Trouble("Unschedulable", "0/1 nodes")
KILLED = Trouble("OOMKilled", "exit code 137")


@pytest.mark.parametrize(
    ("failing", "silent", "reason"),
    [
        (pod("a"), False, None),
        (pod("a"), True, "StartDeadline"),
        (pod("a", trouble=UNSCHEDULABLE), False, None),
        (pod("a", trouble=UNSCHEDULABLE), True, "Unschedulable"),
        (pod("a", trouble=Trouble("CreateContainerConfigError", "m")), False, "Config"),
        (pod("a", ended=True, trouble=Trouble("Error", "exit code 2")), False, "Crash"),
        (pod("a", ended=True, trouble=KILLED), False, "OutOfMemory"),
        (pod("a", ended=True, disrupted=True), False, None),
        (active("a", ended=True, started_at=NOW - 30, ended_at=NOW), False, "Crash"),
        (active("a", ended=True, started_at=NOW - 300, ended_at=NOW, trouble=KILLED), False, None),
        (idle("a"), False, None),
    ],
)
def test_a_start_fails_for_what_the_platform_says(failing: WorkerPod, silent: bool, reason: str | None) -> None:  # noqa: FBT001
    assert start_failure(failing, silent=silent) == reason
    assert reason is None or reason in START_FAILURES


def drained(for_seconds: float = 0.0) -> WorkerPod:
    """A worker that has said so `for_seconds` ago; it was asked at NOW."""
    return reporting(
        "a", WorkerState.DRAINED, for_seconds=for_seconds, drain_request=REQUEST.id, drain_answer=REQUEST.id
    )


def test_a_drain_ends_clean_with_the_pods_deletion(story: Story) -> None:
    asked = idle("a", drain_request=REQUEST.id)
    story.look(asked)
    step = Delete(drained(), Reason.DRAINED)
    story.look(drained(), at=12, decision=replace(STEADY, deletes=(step,)), done=[step])
    story.look(at=13)
    assert story.count("pod_drains", "clean") == 1
    assert story.record.drain.total == 12.0
    assert story.record.drain.cumulative()[-1] == ("+Inf", 1.0)


def test_a_drain_lasts_until_the_worker_has_ended_by_itself_however_late_that_is_seen(story: Story) -> None:
    story.look(idle("a", drain_request=REQUEST.id))
    gone = replace(drained(), ended=True, ended_at=NOW + 12)
    step = Delete(gone, Reason.DRAINED)
    story.look(gone, at=3600, decision=replace(STEADY, deletes=(step,)), done=[step])
    assert story.count("pod_drains", "clean") == 1
    assert story.record.drain.total == 12.0


def test_a_drain_that_had_ended_before_an_operator_came_is_not_counted_by_it(story: Story) -> None:
    step = Delete(replace(drained(), ended=True, ended_at=NOW), Reason.DRAINED)
    story.look(decision=replace(STEADY, deletes=(step,)), done=[step])
    assert not any(n for name, n in story.record.counts.items() if name[0] == "pod_drains")


def test_a_drain_that_is_taken_back_has_not_ended(story: Story) -> None:
    story.look(idle("a", drain_request=REQUEST.id))
    story.look(idle("a"), at=1)
    story.look(at=2)
    assert not any(n for name, n in story.record.counts.items() if name[0] == "pod_drains")


@pytest.mark.parametrize("after", [(), (active("a", drain_request=REQUEST.id, ended=True),)])
def test_a_drain_whose_worker_goes_without_a_word_was_forced(story: Story, after: tuple[WorkerPod, ...]) -> None:
    story.look(active("a", drain_request=REQUEST.id))
    story.look(*after, at=5)
    story.look(*after, at=6)
    assert story.count("pod_drains", "forced") == 1


def test_a_drain_that_handed_work_back_at_its_timeout_is_a_timeout() -> None:
    assert drain_result(drained(for_seconds=-3599), 3600.0) == "clean"
    assert drain_result(drained(for_seconds=-3600), 3600.0) == "timeout"


def test_each_dead_runner_is_recovered_once(story: Story) -> None:
    story.look(idle("a"))
    story.look(idle("a", recovered=("x", "y")), at=1)
    story.look(idle("a", recovered=("x", "y")), at=2)
    assert story.count("recovered_runners") == 2


def test_each_look_that_could_not_count_the_queue_is_an_error_of_its_kind(story: Story) -> None:
    for second in range(3):
        story.look(at=second, facts=Facts(broker=Problem("Timeout", "m")))
    assert story.count("broker_errors", "Timeout") == 3
    assert story.record.counted_at is None
