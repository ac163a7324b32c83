"""Rule 3's exception: what is queued and left alone by idle workers."""

from dataclasses import replace

from pynenc_operator.consumption import LEFT_ALONE_SECONDS, SUSPECT_AGAIN_SECONDS
from pynenc_operator.decision import Decision
from pynenc_operator.model import DrainCause, DrainRequest, Observation, QueueDepth, WorkerPod
from pynenc_operator.reason import Reason
from pynenc_operator.runnerspec import RunnerSpec
from pynenc_operator.scaling import decide
from pynenc_worker.contract import WorkerState
from tests.unit.operator.builders import NOW, active, idle, reporting, seen, starting

LONG = LEFT_ALONE_SECONDS + 1


def waiting(*pods: WorkerPod, depth: int = 5, since: float = LONG, fell: float | None = None) -> Observation:
    """So many have waited for `since` seconds, and `fell` seconds ago there was one less."""
    queue = QueueDepth(depth, depth, waiting_since=NOW - since, fell_at=None if fell is None else NOW - fell)
    return replace(seen(*pods), depth=queue)


def asked(decision: Decision) -> list[tuple[str, Reason]]:
    return [(drain.pod.name, drain.reason) for drain in decision.drains]


def test_work_that_idle_workers_leave_alone_adds_no_pods_and_holds_only_one() -> None:
    pods = (idle("a", 99), idle("b", 98), idle("c", LONG))
    decision = decide(RunnerSpec(), waiting(*pods), NOW)
    assert (decision.not_consumed, decision.create) == (True, None)
    assert asked(decision) == [("a", Reason.HANGING)]
    after = decide(RunnerSpec(), replace(waiting(*pods[1:]), hang_suspected_at=NOW - 1), NOW)
    assert asked(after) == [("b", Reason.IDLE_TIMEOUT)]
    last = decide(RunnerSpec(), replace(waiting(idle("c", 999)), hang_suspected_at=NOW - 1), NOW)
    assert (last.not_consumed, last.acts) == (True, False)


def test_the_one_that_is_held_is_changed_for_another_every_ten_minutes() -> None:
    alone = replace(waiting(idle("c", 999)), hang_suspected_at=NOW - SUSPECT_AGAIN_SECONDS)
    first = decide(RunnerSpec(), alone, NOW)
    assert first.create is not None
    assert (first.create.count, first.drains) == (1, ())
    both = replace(alone, pods=(*alone.pods, idle("d")), not_consumed_since=NOW - 700)
    assert asked(decide(RunnerSpec(), both, NOW)) == [("c", Reason.HANGING)]


def test_it_ends_when_a_worker_works_however_the_queue_grows() -> None:
    growing = replace(waiting(active("a"), depth=50), not_consumed_since=NOW - 3600)
    decision = decide(RunnerSpec(), growing, NOW)
    assert not decision.not_consumed
    assert decision.recount


def test_not_before_half_a_minute_nor_while_anybody_works_or_comes_or_the_queue_falls() -> None:
    for observed in (
        waiting(idle("a", 5)),
        waiting(idle("a", 99), since=20),
        waiting(idle("a", 99), fell=10),
        waiting(idle("a", 99), active("b")),
        waiting(idle("a", 99), starting("b", created=NOW - 5)),
    ):
        decision = decide(RunnerSpec(), observed, NOW)
        assert not decision.not_consumed
        assert decision.create is not None or decision.recount


def test_it_stays_so_until_the_queue_falls_and_one_worker_tries_meanwhile() -> None:
    since = NOW - 60
    nobody = replace(waiting(since=1), not_consumed_since=since)
    decision = decide(RunnerSpec(), nobody, NOW)
    assert decision.not_consumed
    assert decision.create is not None
    assert decision.create.count == 1
    fallen = replace(waiting(idle("a", 99), fell=10), not_consumed_since=since)
    assert not decide(RunnerSpec(), fallen, NOW).not_consumed
    assert not decide(RunnerSpec(), replace(seen(idle("a", 5)), not_consumed_since=since), NOW).not_consumed


def test_an_idle_worker_beside_a_working_one_is_replaced_when_the_queue_is_never_empty() -> None:
    hanging = waiting(idle("a", 99), idle("b", 50), active("c"), depth=2)
    spec = RunnerSpec(max_replicas=3)
    counted_twice = replace(hanging, depth=QueueDepth(2, 2, 2, 2, waiting_since=NOW - LONG))
    assert asked(decide(spec, counted_twice, NOW)) == [("a", Reason.HANGING)]
    with_room = decide(RunnerSpec(), counted_twice, NOW)
    assert with_room.create is not None
    assert (with_room.create.count, with_room.drains) == (1, ())


def test_one_at_a_time_is_suspected_and_the_next_one_after_ten_minutes() -> None:
    spec = RunnerSpec(max_replicas=3)
    hanging = replace(
        seen(idle("b", 50), idle("d", 50), active("c")), depth=QueueDepth(2, 2, 2, 2, waiting_since=NOW - LONG)
    )
    for ago, suspected in ((SUSPECT_AGAIN_SECONDS - 1, []), (SUSPECT_AGAIN_SECONDS, [("b", Reason.HANGING)])):
        assert asked(decide(spec, replace(hanging, hang_suspected_at=NOW - ago), NOW)) == suspected


def test_a_drain_of_a_suspect_is_not_taken_back() -> None:
    request = DrainRequest(DrainCause.HANGING, NOW - 5).id
    leaving = reporting("a", WorkerState.IDLE, drain_request=request)
    decision = decide(RunnerSpec(), seen(leaving, depth=1), NOW)
    assert decision.cancels == ()
    assert decision.create is not None
