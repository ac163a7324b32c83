"""What tells of dead runners when no pod does any more: pods that vanished, and the backend's own figures.

A pod that vanished without a word is no proof of death, as its node may only be cut off: its runner is
dead once its heartbeat in the backend has stood still for two minutes. And while no worker lives, what the
backend counts as held is nobody's, unless somebody else's runner works for the same app.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from pynenc_operator import recovery
from pynenc_operator.decision import Decision
from pynenc_operator.model import Key, Observation, Orphans, WorkerPod
from pynenc_operator.podcache import PodCache
from pynenc_operator.pool import classify
from pynenc_operator.queuedepth import QueueDepths
from pynenc_operator.runnerspec import RunnerSpec

type Json = dict[str, Any]

# Workers beat every 10 s.
DEAD_AFTER_SECONDS: Final = 120.0
BEAT_CHECK_SECONDS: Final = 30.0
# How often the backend is asked who holds what while no worker lives, and while something stands.
AT_ZERO_SECONDS: Final = 120.0
ORPHANS_CHECK_SECONDS: Final = 30.0
# Before the last pod goes it is asked anew, unless it just was: in Shadow that pod does not go.
LAST_POD_SECONDS: Final = 10.0


@dataclass(slots=True)
class _Beat:
    """A heartbeat as it was first read, by our own clock: whose clock wrote it does not matter then."""

    last: float
    read_at: float


class DeadRunners:
    """Finds out, for each runner, which vanished workers are dead, and what nobody holds."""

    def __init__(self, pods: PodCache, depths: QueueDepths, now: Callable[[], float]) -> None:
        self._pods = pods
        self._depths = depths
        self._now = now
        self._beats: dict[Key, dict[str, _Beat]] = {}
        self._beats_due: dict[Key, float] = {}
        self._orphans_due: dict[Key, float] = {}
        self._heard_since: dict[Key, dict[str, float]] = {}  # workers, while the backend answers without a break

    async def vanished(self, key: Key, pods: Iterable[WorkerPod], owner_uid: str) -> tuple[str, ...]:
        """Ids of workers that are dead though no container was seen to end; what somebody has recovered is settled.

        `pods` are those of the runner that are there: one on a lost node is as good as gone.
        """
        pods = tuple(pods)
        self._pods.settle(key, [runner_id for pod in pods for runner_id in pod.recovered])
        gone = [one for one in self._pods.vanished(key) if one.owner_uid == owner_uid]
        unsure = [one.uid for one in gone if not one.ended] + [pod.uid for pod in pods if _cut_off(pod)]
        if unsure and self._now() >= self._beats_due.get(key, 0.0):
            self._beats_due[key] = self._now() + BEAT_CHECK_SECONDS
            await self._check_beats(key, unsure)
        beats = self._beats.get(key, {})
        ended = [one.uid for one in gone if one.ended]
        return (*ended, *(uid for uid in unsure if self._stands_still(beats.get(uid))))

    async def orphans(self, key: Key, spec: RunnerSpec, seen: Observation, decision: Decision) -> Orphans | None:
        """What the backend counts as held though no worker of ours holds anything; asked now and then only."""
        if seen.depth is None:
            self._heard_since.pop(key, None)
            return seen.orphans
        if decision.desired and seen.orphans is None:
            return None
        pool = classify(spec, seen, self._now())
        ending = [pod for pod in seen.pods if pod.terminating and pod.owns and pod.uid not in seen.vanished]
        if pool.active or pool.starting or pool.draining or pool.silent or ending:
            return seen.orphans
        now = self._now()
        last_pod_goes = pool.serving and not decision.desired
        due = self._orphans_due.get(key, 0.0)
        if now < (due - AT_ZERO_SECONDS + LAST_POD_SECONDS if last_pod_goes else due):
            return seen.orphans
        self._orphans_due[key] = now + AT_ZERO_SECONDS
        held = await self._depths.held(key)
        if not held:
            self._heard_since.pop(key, None)
            return None if held == 0 else seen.orphans
        beating = await self._beating(key)
        heard_since = self._hear(key, pool.workers, beating)
        known = seen.orphans
        if known and recovery.searched_for(known, heard_since, now):
            known = replace(known, given_up=True)
        if _of_another(known, held, seen) and not self._others_live(key, seen, beating):
            known = Orphans(held, now)
        if known:
            self._orphans_due[key] = now + ORPHANS_CHECK_SECONDS
        return known

    def forget(self, key: Key) -> None:
        """Drop a runner that is gone."""
        memories: tuple[dict[Key, Any], ...] = (self._beats, self._beats_due, self._orphans_due, self._heard_since)
        for memory in memories:
            memory.pop(key, None)

    async def _check_beats(self, key: Key, unsure: list[str]) -> None:
        found = await self._depths.heartbeats(key, *unsure)
        if found is None:
            self._beats.pop(key, None)  # while nobody can be heard, nobody's silence means anything
            if not self._depths.can_tell(key):  # pynenc's own recovery finds them in its time
                self._pods.settle(key, unsure)
            return
        last = {beat.runner_id: beat.last for beat in found}
        self._pods.settle(key, [uid for uid in unsure if uid not in last])  # it ended in order
        beats = self._beats.setdefault(key, {})
        self._beats[key] = {
            runner_id: beats[runner_id]
            if runner_id in beats and beats[runner_id].last == when
            else _Beat(when, self._now())
            for runner_id, when in last.items()
        }

    def _stands_still(self, beat: _Beat | None) -> bool:
        return beat is not None and self._now() - beat.read_at >= DEAD_AFTER_SECONDS

    async def _beating(self, key: Key) -> set[str] | None:
        """Ids of the app's runners whose heartbeats are fresh; None where that can't be told."""
        found = await self._depths.heartbeats(key)
        if found is None:
            return None
        return {beat.runner_id for beat in found if self._now() - beat.last < DEAD_AFTER_SECONDS}

    def _hear(self, key: Key, workers: Iterable[WorkerPod], beating: set[str] | None) -> Iterable[float]:
        """Note, and say, since when each worker's heartbeats come; who has none can't look for anything."""
        before, now = self._heard_since.get(key, {}), self._now()
        heard = {pod.uid for pod in workers} & (beating or set())
        self._heard_since[key] = {uid: before.get(uid, now) for uid in heard}
        return self._heard_since[key].values()

    def _others_live(self, key: Key, seen: Observation, beating: set[str] | None) -> bool:
        """Whether a runner that is none of our pods works for the same app: then what is held may be its."""
        ours = {pod.uid for pod in seen.pods} | {one.uid for one in self._pods.vanished(key)}
        return beating is None or bool(beating - ours)  # unknown: nothing is concluded


def _of_another(known: Orphans | None, held: int, seen: Observation) -> bool:
    """Whether what is held is not what is known; of a runner that has just died it may be as many."""
    if known is None or known.count != held:
        return True
    return known.given_up and bool(seen.vanished or any(pod.died and not pod.recovered_by for pod in seen.pods))


def _cut_off(pod: WorkerPod) -> bool:
    """Whether a pod is being deleted, or called failed, without a word of its kubelet: its node may be lost."""
    deleted = pod.terminating and not pod.ready
    return pod.owns and not pod.container_ended and (deleted or pod.ended)
