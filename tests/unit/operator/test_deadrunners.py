"""What tells of dead runners when no pod does any more."""

from dataclasses import replace
from typing import Any

import pytest

from pynenc_operator.deadrunners import (
    AT_ZERO_SECONDS,
    BEAT_CHECK_SECONDS,
    DEAD_AFTER_SECONDS,
    LAST_POD_SECONDS,
    ORPHANS_CHECK_SECONDS,
    DeadRunners,
)
from pynenc_operator.model import Key, Observation, Orphans, WorkerPod
from pynenc_operator.podcache import PodCache
from pynenc_operator.questions import Heartbeat
from pynenc_operator.recovery import ORPHANS_SECONDS
from pynenc_operator.runnerspec import RunnerSpec
from pynenc_operator.scaling import decide
from tests.unit.operator.builders import NOW, active, idle, seen
from tests.unit.operator.resources import pod

KEY = Key("shop", "reports")
SPEC = RunnerSpec()


class Backend:
    """A backend that tells what the test says."""

    def __init__(self) -> None:
        self.holds: int | None = 0
        self.beats: dict[str, float] | None = {}
        self.asked = 0
        self.knows = True

    async def held(self, key: Key) -> int | None:  # noqa: ARG002
        self.asked += 1
        return self.holds

    async def heartbeats(self, key: Key, *runner_ids: str) -> tuple[Heartbeat, ...] | None:  # noqa: ARG002
        if self.beats is None:
            return None
        return tuple(Heartbeat(who, last) for who, last in self.beats.items() if not runner_ids or who in runner_ids)

    def can_tell(self, key: Key) -> bool:  # noqa: ARG002
        return self.knows


class World:
    """A runner's cache and backend, and the time."""

    def __init__(self) -> None:
        self.now = NOW
        self.pods = PodCache()
        self.backend = Backend()
        self.dead = DeadRunners(self.pods, self.backend, lambda: self.now)  # type: ignore[arg-type]

    def vanish(self, **status: Any) -> None:
        body = pod(**status)
        for kind in ("ADDED", "DELETED"):
            self.pods.apply_event({"type": kind, "object": body}, self.now)

    async def vanished(self, after: float = 0.0) -> tuple[str, ...]:
        self.now += after
        return await self.dead.vanished(KEY, self.pods.of(KEY), "runner-uid")

    async def orphans(self, observed: Observation, after: float = 0.0) -> Orphans | None:
        self.now += after
        return await self.dead.orphans(KEY, SPEC, observed, decide(SPEC, observed, NOW))

    async def looked_for(self, worker: WorkerPod, known: Orphans, seconds: float) -> Orphans | None:
        """What is known of orphans after so long of a worker's life, whose heartbeats come."""
        assert seconds % ORPHANS_CHECK_SECONDS == 0
        end, found = self.now + seconds, None
        while self.now < end:
            self.backend.beats = {**(self.backend.beats or {}), worker.uid: self.now}
            found = await self.orphans(seen(worker, orphans=known), after=ORPHANS_CHECK_SECONDS)
        return found


async def test_a_vanished_worker_is_dead_once_its_heartbeat_has_stood_still_for_two_minutes() -> None:
    world = World()
    world.vanish()
    world.backend.beats = {"pod-uid": NOW - 1000}  # by whatever clock
    assert await world.vanished() == ()
    world.backend.beats = {"pod-uid": NOW - 990}  # it lives on somewhere
    assert await world.vanished(BEAT_CHECK_SECONDS) == ()
    assert await world.vanished(DEAD_AFTER_SECONDS - 1) == ()
    assert await world.vanished(1) == ("pod-uid",)


async def test_one_without_heartbeat_ended_in_order() -> None:
    world = World()
    world.vanish()
    assert await world.vanished() == ()
    world.backend.beats = {"pod-uid": NOW}
    assert await world.vanished(BEAT_CHECK_SECONDS) == ()
    assert await world.vanished(DEAD_AFTER_SECONDS) == ()


async def test_one_that_was_seen_to_end_needs_no_heartbeat() -> None:
    world = World()
    world.vanish(containerStatuses=[{"name": "worker", "state": {"terminated": {"exitCode": 137}}}])
    assert await world.vanished() == ("pod-uid",)
    assert await world.dead.vanished(KEY, (), "another-runner") == ()


async def test_an_unknown_heartbeat_concludes_nothing_and_a_backend_without_any_is_left_to_pynenc() -> None:
    world = World()
    world.vanish()
    world.backend.beats = None
    assert await world.vanished(9999) == ()
    assert world.pods.vanished(KEY)
    world.backend.knows = False
    assert await world.vanished(BEAT_CHECK_SECONDS) == ()
    assert world.pods.vanished(KEY) == ()


async def test_what_somebody_has_recovered_is_settled() -> None:
    world = World()
    world.vanish(containerStatuses=[{"name": "worker", "state": {"terminated": {"exitCode": 137}}}])
    recoverer = pod()
    recoverer["metadata"].update(uid="other", name="reports-1", resourceVersion="9")
    for annotation in ("recover-runners", "recovered-runners"):
        recoverer["metadata"]["annotations"][f"pynenc.org/{annotation}"] = "pod-uid"
    world.pods.apply_event({"type": "ADDED", "object": recoverer}, NOW)
    assert await world.vanished() == ()
    assert world.pods.vanished(KEY) == ()


async def test_at_zero_the_backend_is_asked_now_and_then() -> None:
    world = World()
    assert await world.orphans(seen()) is None
    world.backend.holds = 2
    assert await world.orphans(seen(), after=AT_ZERO_SECONDS - 1) is None
    assert world.backend.asked == 1
    assert await world.orphans(seen(), after=1) == Orphans(2, world.now)


async def test_the_last_pod_does_not_go_before_the_backend_was_asked() -> None:
    world = World()
    await world.orphans(seen())
    world.backend.holds = 1
    assert await world.orphans(seen(idle("a", 999)), after=LAST_POD_SECONDS - 1) is None  # it was asked just now
    world.now += 1
    assert await world.orphans(seen(idle("a", 5))) is None
    assert await world.orphans(seen(idle("a", 999))) == Orphans(1, world.now)


async def test_what_is_held_while_a_worker_of_ours_or_anybody_else_works_is_no_orphan() -> None:
    world = World()
    world.backend.holds = 1
    assert await world.orphans(seen(active("a"))) is None
    assert world.backend.asked == 0
    world.backend.beats = {"a-runner-outside-the-cluster": NOW - 20}
    assert await world.orphans(seen()) is None
    world.backend.beats = None  # unknown
    assert await world.orphans(seen(), after=AT_ZERO_SECONDS) is None
    world.backend.beats = {"a-runner-outside-the-cluster": NOW - 9999}
    assert await world.orphans(seen(), after=AT_ZERO_SECONDS) == Orphans(1, world.now)


async def test_orphans_are_given_up_once_a_worker_has_searched_for_them_and_not_before() -> None:
    world = World()
    world.backend.holds = 2
    known = Orphans(2, NOW - 9 * ORPHANS_SECONDS)  # of a runner that was paused meanwhile
    assert await world.orphans(seen(orphans=known)) == known
    worker = idle("a")
    assert await world.looked_for(worker, known, ORPHANS_SECONDS) == known  # by its first heartbeat
    given_up = replace(known, given_up=True)
    assert await world.looked_for(worker, known, ORPHANS_CHECK_SECONDS) == given_up
    assert await world.orphans(seen(orphans=given_up), after=AT_ZERO_SECONDS) == given_up
    world.backend.holds = 3
    assert await world.orphans(seen(orphans=given_up), after=AT_ZERO_SECONDS) == Orphans(3, world.now)


@pytest.mark.parametrize("what", ["no count", "no answer of who holds", "no heartbeats", "none of this worker"])
async def test_while_nobody_can_look_for_orphans_they_are_not_given_up(what: str) -> None:
    world = World()
    world.backend.holds = 2
    known, worker = Orphans(2, NOW), idle("a")
    assert await world.looked_for(worker, known, ORPHANS_SECONDS) == known
    if what == "no count":
        assert await world.orphans(replace(seen(worker, orphans=known), depth=None)) == known
    elif what == "no answer of who holds":
        world.backend.holds = None
        assert await world.orphans(seen(worker, orphans=known), after=ORPHANS_CHECK_SECONDS) == known
        world.backend.holds = 2
    else:
        world.backend.beats = None if what == "no heartbeats" else {"uid-a": world.now - DEAD_AFTER_SECONDS}
        assert await world.orphans(seen(worker, orphans=known), after=ORPHANS_CHECK_SECONDS) == known
    assert await world.looked_for(worker, known, ORPHANS_SECONDS) == known
    assert await world.looked_for(worker, known, AT_ZERO_SECONDS) == replace(known, given_up=True)


async def test_what_is_given_up_is_looked_for_again_when_somebody_dies_as_it_may_be_anothers() -> None:
    world = World()
    world.backend.holds = 2
    given_up = Orphans(2, NOW - 9999, given_up=True)
    assert await world.orphans(seen(idle("a", 1), orphans=given_up)) == given_up
    died = seen(idle("a", 1), orphans=given_up, vanished=("gone",))
    assert await world.orphans(died, after=AT_ZERO_SECONDS) == Orphans(2, world.now)


async def test_orphans_are_given_up_also_while_another_runner_of_the_app_holds_now_more_now_less() -> None:
    world = World()
    world.backend.beats = {"a-runner-outside-the-cluster": NOW + ORPHANS_SECONDS}
    world.backend.holds = 5
    known = Orphans(2, NOW)
    found = await world.looked_for(idle("a"), known, ORPHANS_SECONDS + ORPHANS_CHECK_SECONDS)
    assert found == replace(known, given_up=True)


async def test_orphans_stand_until_their_number_changes_and_an_unknown_one_changes_nothing() -> None:
    world = World()
    known = Orphans(2, NOW - 100)
    observed = seen(idle("a", 1), orphans=known)
    for holds, expected in ((2, known), (None, known), (1, None), (0, None)):
        world.backend.holds = holds
        after = await world.orphans(observed, after=AT_ZERO_SECONDS)
        assert after == (expected or (Orphans(1, world.now) if holds else None))


async def test_a_pod_of_a_lost_node_that_is_being_deleted_for_ever_is_as_good_as_gone() -> None:
    world = World()
    body = pod(conditions=[{"type": "Ready", "status": "False"}])
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:10:00Z"
    world.pods.apply_event({"type": "ADDED", "object": body}, NOW)
    world.backend.beats = {"pod-uid": NOW}
    assert await world.vanished() == ()
    assert await world.vanished(DEAD_AFTER_SECONDS) == ("pod-uid",)


async def test_a_pod_that_only_the_platform_calls_failed_needs_a_silent_heartbeat_too() -> None:
    world = World()
    world.pods.apply_event({"type": "ADDED", "object": pod(phase="Failed")}, NOW)
    world.backend.beats = {"pod-uid": NOW}
    [view] = world.pods.of(KEY)
    assert not decide(SPEC, seen(view, idle("b"), template="abc"), NOW).recovery
    assert await world.vanished() == ()
    assert await world.vanished(DEAD_AFTER_SECONDS) == ("pod-uid",)


async def test_an_outage_makes_nobody_dead() -> None:
    world = World()
    world.vanish()
    world.backend.beats = {"pod-uid": NOW}
    assert await world.vanished() == ()
    world.backend.beats = None
    assert await world.vanished(DEAD_AFTER_SECONDS) == ()
    world.backend.beats = {"pod-uid": NOW}
    assert await world.vanished(BEAT_CHECK_SECONDS) == ()


async def test_in_shadow_the_last_pod_does_not_make_it_ask_at_every_look() -> None:
    world = World()
    for _ in range(60):
        await world.orphans(seen(idle("a", 999)), after=1)
    assert world.backend.asked <= 60 / LAST_POD_SECONDS + 1
