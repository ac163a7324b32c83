"""Rule 3's exception: queued work that idle workers leave alone. Pure.

An idle worker takes work within 0.3 s. Where none does for half a minute, more of them would not help:
DemandNotConsumed, which adds no pods and holds one. The one that has been idle longest may hang, also
where others do work meanwhile: it brings no slot and is asked to leave, one at a time.
"""

from dataclasses import replace
from typing import Final

from pynenc_operator import pool as pools
from pynenc_operator.decision import Drain
from pynenc_operator.model import DrainCause, DrainRequest, Observation, QueueDepth, WorkerPod
from pynenc_operator.pool import Pool
from pynenc_operator.reason import Reason
from pynenc_operator.runnerspec import RunnerSpec

LEFT_ALONE_SECONDS: Final = 30.0
# It may have been a mistake: the next one is suspected no sooner.
SUSPECT_AGAIN_SECONDS: Final = 600.0


def not_consumed(pool: Pool, seen: Observation, now: float) -> bool:
    """Whether idle workers leave the queue alone; it stays so until the queue gets shorter, or one works."""
    depth = seen.depth
    if depth is None:
        return seen.not_consumed_since is not None
    if not depth.count or depth.waiting_since is None or pool.active:
        return False
    if seen.not_consumed_since is not None and not (depth.fell_at and depth.fell_at > seen.not_consumed_since):
        return True
    nobody_comes = not pool.starting and not pool.not_started
    still = now - max(depth.waiting_since, depth.fell_at or 0.0) >= LEFT_ALONE_SECONDS
    return nobody_comes and still and any(_idle_for_long(pod, now) for pod in pool.idle)


def with_suspect(pool: Pool, seen: Observation, now: float, *, not_consumed: bool) -> Pool:
    """The pool with the idle worker named that may hang, if there is one: its slot does not count.

    Others work, or none does: then the one that is held is changed for another, that a queue whose only worker hangs
    gets on.
    """
    depth = seen.depth
    if depth is None or depth.waiting_since is None or now - depth.waiting_since < LEFT_ALONE_SECONDS:
        return pool
    recent = seen.hang_suspected_at is not None and now - seen.hang_suspected_at < SUSPECT_AGAIN_SECONDS
    leaving = any(pod.drain and pod.drain.cause is DrainCause.HANGING for pod in pool.draining)
    suspects = [pod for pod in pools.longest_idle_first(pool.idle) if _idle_for_long(pod, now)]
    if recent or leaving or not suspects or not (pool.active or not_consumed):
        return pool
    return replace(pool, suspect=suspects[0])


def suspect_leaves(pool: Pool, now: float) -> tuple[Drain, ...]:
    """Ask the worker that may hang to leave; one that does not even answer that goes by the drain timeout."""
    if pool.suspect is None:
        return ()
    return (Drain(pool.suspect, DrainRequest(DrainCause.HANGING, now), Reason.HANGING),)


def demand_of_one(spec: RunnerSpec, depth: QueueDepth) -> QueueDepth:
    """What of a queue that is not consumed still counts: enough for one pod."""
    return QueueDepth(min(depth.count, spec.max_threads), min(depth.peak, spec.max_threads))


def _idle_for_long(pod: WorkerPod, now: float) -> bool:
    return pod.status is not None and pod.status.is_idle(now, LEFT_ALONE_SECONDS)
