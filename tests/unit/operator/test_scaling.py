"""decide(): an example for each rule and reason."""

from dataclasses import replace

import pytest

from pynenc_operator.model import DrainCause, DrainRequest, QueueDepth, WorkerPod
from pynenc_operator.reason import Reason
from pynenc_operator.runnerspec import BrokerDownFloor, Mode, RunnerSpec, ScaleUpLimit
from pynenc_operator.scaling import decide
from pynenc_worker.contract import WorkerState
from tests.unit.operator.builders import NOW, active, idle, pod, reporting, seen, starting

IDLE_REQUEST = DrainRequest(DrainCause.IDLE, NOW - 5).id
SURPLUS_REQUEST = DrainRequest(DrainCause.ABOVE_MAXIMUM, NOW - 5).id


def drained(name: str, request: str = IDLE_REQUEST, answer: str | None = None) -> WorkerPod:
    answered = request if answer is None else answer
    return reporting(name, WorkerState.DRAINED, drain_request=request, drain_answer=answered)


def draining(name: str, threads: int = 1, request: str = IDLE_REQUEST) -> WorkerPod:
    return reporting(name, WorkerState.DRAINING, threads=threads, drain_request=request)


@pytest.mark.parametrize(
    ("spec", "observed", "count", "reason"),
    [
        (RunnerSpec(), seen(depth=3), 3, Reason.QUEUE_DEPTH),
        (RunnerSpec(max_threads=4), seen(depth=9), 3, Reason.QUEUE_DEPTH),
        (RunnerSpec(), seen(pod("a"), starting("b"), idle("c"), depth=4), 1, Reason.QUEUE_DEPTH),
        (RunnerSpec(min_replicas=2), seen(idle("a")), 1, Reason.MIN_REPLICAS),
        (RunnerSpec(min_replicas=2), seen(depth=None), 2, Reason.MIN_REPLICAS),
        (RunnerSpec(max_replicas=3, enforce_max_replicas=True), seen(), 3, Reason.ENFORCED_MAXIMUM),
        (RunnerSpec(pin=4), seen(idle("a")), 3, Reason.PINNED),
        (
            RunnerSpec(broker_down=BrokerDownFloor(2, 60)),
            seen(depth=None, broker_down_since=NOW - 60),
            2,
            Reason.BROKER_DOWN_REPLICAS,
        ),
    ],
)
def test_pods_are_created_for_what_lacks(spec: RunnerSpec, observed: object, count: int, reason: Reason) -> None:
    decision = decide(spec, observed, NOW)  # type: ignore[arg-type]
    assert decision.create is not None
    assert (decision.create.count, decision.create.reason, decision.reason) == (count, reason, reason)


def test_the_maximum_holds_and_says_so() -> None:
    decision = decide(RunnerSpec(max_replicas=3), seen(idle("a"), draining("b"), depth=9), NOW)
    assert decision.create is not None
    assert (decision.create.count, decision.limited) == (1, Reason.MAX_REPLICAS)


def test_scale_up_limits_demand_but_not_the_floor() -> None:
    recent = pod("a", created=NOW - 3)
    limit = ScaleUpLimit(max_pods=2, period_seconds=10)
    demand = decide(RunnerSpec(scale_up=limit), seen(recent, depth=9), NOW)
    floor = decide(RunnerSpec(scale_up=limit, min_replicas=6), seen(recent), NOW)
    assert demand.create is not None
    assert (demand.create.count, demand.limited) == (1, Reason.SCALE_UP_LIMIT)
    assert floor.create is not None
    assert floor.create.count == 5


def test_an_unknown_depth_holds() -> None:
    decision = decide(RunnerSpec(), seen(idle("a", 999), pod("b"), depth=None), NOW)
    assert not decision.acts
    assert (decision.reason, decision.desired) == (Reason.BROKER_UNREACHABLE, 2)


def test_an_unknown_depth_does_not_stop_finished_drains() -> None:
    decision = decide(RunnerSpec(), seen(drained("a"), depth=None), NOW)
    assert not decision.scales
    assert [(step.pod.name, step.reason) for step in decision.deletes] == [("a", Reason.DRAINED)]


def test_active_pods_are_believed_to_have_free_threads_until_the_recount() -> None:
    spec = RunnerSpec(max_threads=4)
    first = decide(spec, seen(active("a"), depth=3), NOW)
    assert first.recount
    assert first.create is None
    taken = decide(spec, seen(active("a"), depth=3, recount=0), NOW)
    assert not taken.recount
    assert taken.create is None
    left = decide(spec, seen(active("a"), depth=3, recount=2), NOW)
    assert left.create is not None
    assert left.create.count == 1


def test_no_recount_is_asked_for_where_it_could_change_nothing() -> None:
    assert not decide(RunnerSpec(), seen(active("a"), idle("b"), depth=1), NOW).recount
    assert not decide(RunnerSpec(max_replicas=1), seen(active("a"), depth=9), NOW).recount
    assert not decide(RunnerSpec(), seen(pod("a"), depth=1), NOW).recount


def test_a_burst_between_the_counts_is_measured_against_all_slots() -> None:
    decision = decide(RunnerSpec(max_replicas=50), seen(active("a"), active("b"), depth=1, recount=12), NOW)
    assert decision.create is not None
    assert decision.create.count == 10


def test_idle_pods_leave_after_the_timeout_the_longest_idle_first() -> None:
    spec = RunnerSpec(min_replicas=1, idle_timeout_seconds=60)
    decision = decide(spec, seen(idle("a", 70), idle("b", 90), idle("c", 10)), NOW)
    assert [(step.pod.name, step.reason) for step in decision.drains] == [
        ("b", Reason.IDLE_TIMEOUT),
        ("a", Reason.IDLE_TIMEOUT),
    ]
    assert {step.request for step in decision.drains} == {DrainRequest(DrainCause.IDLE, NOW)}
    assert decision.desired == 1


def test_the_peak_of_the_last_seconds_keeps_pods() -> None:
    decision = decide(RunnerSpec(), seen(idle("a", 70), idle("b", 70), pod("c"), depth=0, peak=3), NOW)
    assert not decision.acts


def test_pods_that_have_not_started_go_at_once_and_before_idle_ones() -> None:
    decision = decide(RunnerSpec(), seen(pod("a"), idle("b", 70), depth=0, peak=1), NOW)
    assert [(step.pod.name, step.reason) for step in decision.deletes] == [("a", Reason.NOT_NEEDED)]
    assert not decision.drains


def test_busy_and_silent_about_themselves_are_never_asked_for_idleness() -> None:
    assert not decide(RunnerSpec(), seen(active("a", for_seconds=9999), starting("b")), NOW).acts


def test_above_the_maximum_the_order_is_not_started_idle_busy() -> None:
    pods = (active("a"), active("b"), idle("c"), pod("d"), starting("e"))
    decision = decide(RunnerSpec(max_replicas=1), seen(*pods, depth=50), NOW)
    assert [step.pod.name for step in decision.deletes] == ["d"]
    assert [step.pod.name for step in decision.drains] == ["c", "e", "b"]
    assert {step.request.cause for step in decision.drains} == {DrainCause.ABOVE_MAXIMUM}
    assert (decision.desired, decision.create, decision.reason) == (1, None, Reason.ABOVE_MAXIMUM)


def test_a_pin_of_zero_drains_all() -> None:
    decision = decide(RunnerSpec(pin=0), seen(active("a"), idle("b"), depth=5), NOW)
    assert [step.pod.name for step in decision.drains] == ["b", "a"]
    assert (decision.reason, decision.limited) == (Reason.PINNED, Reason.PINNED)


@pytest.mark.parametrize("answer", ["", "idle.1"])
def test_only_a_pod_whose_two_ids_are_equal_is_deleted(answer: str) -> None:
    assert not decide(RunnerSpec(), seen(drained("a", answer=answer)), NOW).deletes


def test_drains_are_taken_back_before_a_pod_is_created() -> None:
    pods = (draining("a", 0, SURPLUS_REQUEST), *(draining(name, request=SURPLUS_REQUEST) for name in "bc"))
    decision = decide(RunnerSpec(max_threads=1), seen(*pods, depth=3), NOW)
    assert [step.pod.name for step in decision.cancels] == ["a"]
    assert not decision.deletes
    assert decision.create is not None
    assert decision.create.count == 2


def test_an_answered_drain_is_final_and_a_pod_is_created_in_its_place() -> None:
    decision = decide(RunnerSpec(min_replicas=1), seen(drained("a"), depth=1), NOW)
    assert not decision.cancels
    assert [(step.pod.name, step.reason) for step in decision.deletes] == [("a", Reason.DRAINED)]
    assert decision.create is not None
    assert decision.create.count == 1
    assert not decide(RunnerSpec(mode=Mode.PAUSED), seen(drained("a")), NOW).acts


def test_at_the_maximum_an_answered_drain_makes_room_and_is_no_limit() -> None:
    for spec, depth in ((RunnerSpec(max_replicas=1), 1), (RunnerSpec(pin=1), 0)):
        decision = decide(spec, seen(drained("a"), depth=depth), NOW)
        assert [step.pod.name for step in decision.deletes] == ["a"]
        assert (decision.create, decision.limited) == (None, None)
    assert decide(RunnerSpec(max_replicas=1), seen(drained("a"), depth=2), NOW).limited is Reason.MAX_REPLICAS


def test_a_pod_that_has_drained_is_not_kept_for_its_log_whatever_it_ended_with() -> None:
    [delete] = decide(RunnerSpec(), seen(replace(drained("a"), ended=True, failed=True)), NOW).deletes
    assert delete.reason is Reason.DRAINED


def test_for_the_floor_any_drain_is_taken_back() -> None:
    decision = decide(RunnerSpec(min_replicas=2), seen(draining("a"), draining("b")), NOW)
    assert [step.pod.name for step in decision.cancels] == ["a", "b"]
    assert decision.create is None


def test_a_drain_for_the_maximum_stands_while_the_maximum_is_full() -> None:
    full = decide(RunnerSpec(max_replicas=1), seen(active("a"), draining("b", 0, SURPLUS_REQUEST), depth=9), NOW)
    room = decide(RunnerSpec(max_replicas=2), seen(active("a"), draining("b", 0, SURPLUS_REQUEST), depth=9), NOW)
    assert not full.cancels
    assert room.recount or room.cancels


def test_a_pod_whose_drain_was_taken_back_counts_as_coming() -> None:
    back = reporting("a", WorkerState.DRAINED)
    assert not decide(RunnerSpec(), seen(back, depth=1), NOW).acts


def test_a_pod_without_a_report_past_its_deadline_is_silent() -> None:
    late = starting("a", created=NOW - 31)
    decision = decide(RunnerSpec(start_deadline_seconds=30), seen(late, depth=1), NOW)
    assert [(step.pod.name, step.reason) for step in decision.deletes] == [("a", Reason.SILENT)]
    assert decision.create is not None


@pytest.mark.parametrize(("learned", "age", "deleted"), [(None, 299, 0), (None, 301, 1), (5, 61, 1), (50, 99, 0)])
def test_the_start_deadline_is_learned(learned: int | None, age: float, deleted: int) -> None:
    observed = seen(starting("a", created=NOW - age), start_seconds=learned)
    assert len(decide(RunnerSpec(), observed, NOW).deletes) == deleted


def test_a_drain_without_an_answer_past_its_timeout_is_silent() -> None:
    spec = RunnerSpec(drain_timeout_seconds=30)
    waiting = draining("a", request=DrainRequest(DrainCause.IDLE, NOW - 89).id)
    overdue = draining("b", request=DrainRequest(DrainCause.IDLE, NOW - 91).id)
    decision = decide(spec, seen(waiting, overdue), NOW)
    assert [(step.pod.name, step.reason) for step in decision.deletes] == [("b", Reason.SILENT)]


def test_ended_pods_go_but_the_newest_failed_ones_stay_for_an_hour() -> None:
    def ended(name: str, ago: float, *, failed: bool) -> WorkerPod:
        return starting(name, ended=True, failed=failed, ended_at=NOW - ago)

    pods = (ended("clean", 1, failed=False), *(ended(f"f{n}", n, failed=True) for n in (10, 20, 30, 3601)))
    decision = decide(RunnerSpec(failed_pods_history_limit=2), seen(*pods), NOW)
    assert {step.pod.name for step in decision.deletes} == {"clean", "f30", "f3601"}
    assert {step.reason for step in decision.deletes} == {Reason.ENDED}


def test_paused_takes_drains_back_and_then_does_nothing() -> None:
    spec = RunnerSpec(min_replicas=5, mode=Mode.PAUSED)
    decision = decide(spec, seen(draining("a"), idle("b", 999), depth=9), NOW)
    assert [step.pod.name for step in decision.cancels] == ["a"]
    assert (decision.create, decision.drains, decision.deletes) == (None, (), ())
    assert decision.reason is Reason.PAUSED


def test_a_drain_for_idleness_that_met_work_is_taken_back_before_it_could_time_out() -> None:
    decision = decide(RunnerSpec(), seen(draining("a"), draining("b", request=SURPLUS_REQUEST)), NOW)
    assert [(step.pod.name, step.reason) for step in decision.cancels] == [("a", Reason.NOT_IDLE)]
    full = decide(RunnerSpec(max_replicas=1), seen(draining("a"), active("b")), NOW)
    assert full.cancels == ()


def test_a_drain_that_ended_at_its_timeout_says_so() -> None:
    spec = RunnerSpec(drain_timeout_seconds=60)
    asked = DrainRequest(DrainCause.ABOVE_MAXIMUM, NOW - 61).id
    for last_report, reason in ((0, Reason.DRAIN_TIMEOUT), (10, Reason.DRAINED)):
        late = reporting("a", WorkerState.DRAINED, for_seconds=last_report, drain_request=asked, drain_answer=asked)
        [delete] = decide(spec, seen(late), NOW).deletes
        assert delete.reason is reason
        [delete] = decide(spec, seen(replace(late, ended=True)), NOW).deletes
        assert delete.reason is reason  # it ends by itself, and that may be seen first


def test_only_what_stood_at_both_counts_is_unmet_where_the_queue_shows_its_entries() -> None:
    stream = replace(seen(active("a"), active("b")), depth=QueueDepth(4, 6, recount=6, stayed=0))
    assert not decide(RunnerSpec(), stream, NOW).acts
    stuck = replace(stream, depth=QueueDepth(4, 6, recount=6, stayed=3))
    decision = decide(RunnerSpec(), stuck, NOW)
    assert decision.create is not None
    assert decision.create.count == 3


@pytest.mark.parametrize("request_id", ["by-hand", "idle." + "9" * 400, "idle.x"])
def test_a_request_that_is_not_ours_is_no_request_for_idleness(request_id: str) -> None:
    decision = decide(RunnerSpec(), seen(draining("a", request=request_id)), NOW)
    assert not decision.acts


def test_a_creation_that_is_held_back_keeps_no_rollout_from_its_step() -> None:
    old = [replace(active(name), template_hash="t0") for name in "abc"]
    observed = seen(*old, depth=50, recount=50, quota_full=True, creation_held=True, held_for=Reason.QUOTA)
    decision = decide(RunnerSpec(), observed, NOW)
    assert (decision.create, decision.limited) == (None, Reason.QUOTA)
    assert [drain.reason for drain in decision.drains] == [Reason.TEMPLATE]


def test_a_silent_pod_that_never_reported_holds_nothing_and_gets_little_grace() -> None:
    spec = RunnerSpec(start_deadline_seconds=10, drain_timeout_seconds=10)
    unheard = starting("a", created=NOW - 20)
    unanswered = draining("b", request=DrainRequest(DrainCause.ABOVE_MAXIMUM, NOW - 99).id)
    steps = {step.pod.name: step.grace for step in decide(spec, seen(unheard, unanswered), NOW).deletes}
    assert steps == {"a": 30, "b": None}
