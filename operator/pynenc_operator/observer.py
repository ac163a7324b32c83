"""What is seen of one runner: its pods first, then its queue, and what both and its status say of the dead.

A count of the queue that does not settle what to do is taken again, once.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from pynenc_operator.conditions import (
    BROKER_REACHABLE,
    DEMAND_NOT_CONSUMED,
    IDLE_WORKER_HANGS,
    RECOVERY_PENDING,
    Problem,
)
from pynenc_operator.creation import Creation
from pynenc_operator.deadrunners import DeadRunners
from pynenc_operator.decision import Decision
from pynenc_operator.failures import assess
from pynenc_operator.model import Key, Observation, WorkerPod
from pynenc_operator.podcache import PodCache
from pynenc_operator.queuedepth import QueueDepths
from pynenc_operator.resource import condition_since, parse_failures, parse_orphans
from pynenc_operator.runnerspec import RunnerSpec
from pynenc_operator.scaling import decide
from pynenc_operator.status import learn_start_seconds

type Json = dict[str, Any]

# A worker that works and has a free thread takes work within 0.3 s: what is still queued after this found none.
RECOUNT_SECONDS: Final = 0.5


class Observer:
    """Sees runners; `aside` waits so many seconds, in which others may be looked at."""

    def __init__(
        self,
        pods: PodCache,
        depths: QueueDepths,
        creation: Creation,
        now: Callable[[], float],
        aside: Callable[[float], Awaitable[None]],
    ) -> None:
        self._pods = pods
        self._depths = depths
        self._creation = creation
        self._now = now
        self._aside = aside
        self._dead = DeadRunners(pods, depths, now)

    def own_pods(self, key: Key, runner: Json) -> tuple[WorkerPod, ...]:
        """The pods that this runner's object owns; a label alone makes none its own."""
        return tuple(pod for pod in self._pods.of(key) if pod.owner_uid == runner["metadata"]["uid"])

    def places(self, key: Key, runner: Json) -> int:
        """How many of a quota's places its pods take: those that have not ended."""
        return _places(self.own_pods(key, runner))

    async def observe(self, key: Key, runner: Json, spec: RunnerSpec) -> tuple[Observation, Decision, Problem | None]:
        """See a runner, with what that calls for, and what stands in the way of counting its queue."""
        pods = self.own_pods(key, runner)
        reading = await self._depths.read(key, runner)
        known = runner.get("status", {})
        seen = Observation(
            pods=pods,
            depth=reading.depth,
            template=self._creation.template(key),
            failures=parse_failures(known),
            broker_down_since=_earlier(reading.down_since, condition_since(known, BROKER_REACHABLE, "False")),
            start_seconds=learn_start_seconds(known.get("startSeconds"), self._pods.take_start(key)),
            vanished=await self._dead.vanished(key, pods, runner["metadata"]["uid"]),
            orphans=parse_orphans(known),
            not_consumed_since=condition_since(known, DEMAND_NOT_CONSUMED, "True"),
            hang_suspected_at=condition_since(known, IDLE_WORKER_HANGS, "True"),
            recovery_since=condition_since(known, RECOVERY_PENDING, "True"),
        )
        seen = self._judged(key, spec, seen)
        decision = decide(spec, seen, self._now())
        if decision.recount:
            await self._aside(RECOUNT_SECONDS)
            seen = await self.again(key, runner, spec, seen, recount=True)
            decision = decide(spec, seen, self._now())
        orphans = await self._dead.orphans(key, spec, seen, decision)
        if orphans != seen.orphans:
            seen = replace(seen, orphans=orphans)
            decision = decide(spec, seen, self._now())
        return seen, decision, reading.problem

    async def again(
        self, key: Key, runner: Json, spec: RunnerSpec, before: Observation, *, recount: bool = False
    ) -> Observation:
        """See the pods that the cache has now, then the queue; a recount stays one, with a newer figure."""
        pods = self.own_pods(key, runner)
        earlier = before.depth if before.depth and (recount or before.depth.recount is not None) else None
        depth = (await self._depths.read(key, runner, earlier)).depth
        return self._judged(key, spec, replace(before, pods=pods, depth=depth))

    def with_pods(self, key: Key, runner: Json, spec: RunnerSpec, before: Observation) -> Observation:
        """What is seen after something was done: the same, with the pods that the cache has now."""
        return self._judged(key, spec, replace(before, pods=self.own_pods(key, runner)))

    def _judged(self, key: Key, spec: RunnerSpec, seen: Observation) -> Observation:
        """With what follows from the pods: failures, and whether one may be made."""
        pods = _places(seen.pods)
        return replace(
            seen,
            quota_full=self._creation.quota_full(key, pods),
            creation_held=self._creation.is_held(key, pods),
            held_for=self._creation.limit(key),
            failures=assess(spec, seen, self._now()),
        )

    def forget(self, key: Key) -> None:
        """Drop a runner that is gone."""
        self._depths.forget(key)
        self._dead.forget(key)


def _places(pods: Iterable[WorkerPod]) -> int:
    return sum(not pod.ended for pod in pods)


def _earlier(seen: float | None, told: float | None) -> float | None:
    """Since when an outage lasts: another leader may have seen its beginning."""
    return min(seen, told) if seen is not None and told is not None else seen
