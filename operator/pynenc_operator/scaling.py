"""The rules of scaling: `decide(spec, seen, now)`, the heart of the operator.

Pure: no clock, no network, no memory. Deciding again on the result of a decision decides nothing.

1. Unknown is not zero: without a queue depth nothing is created for demand and nobody is asked to
   leave for idleness; floor, maximum, finished drains and ended pods go on.
2. Slots are what can take queued work. Idle and coming pods bring maxThreads each. Active pods may
   have free threads: they are believed to at the first count, and if that belief decides, the queue
   is counted again; what stands there still has found no thread.
3. Up: what the floor lacks, or what the queue needs beyond the slots, whichever is more.
4. Down: only pods above the floor that the queue does not need: not-started ones at once, idle ones
   after the idle timeout. Busy pods are never asked for idleness.
5. Leaving takes two steps: a drain request, and a deletion once the worker has answered it. A drain
   is taken back before a pod is created.
"""

import math
from collections.abc import Iterator

from pynenc_operator import pool as pools
from pynenc_operator.model import (
    CancelDrain,
    Create,
    Decision,
    Delete,
    Drain,
    DrainCause,
    DrainRequest,
    Mode,
    Observation,
    QueueDepth,
    Reason,
    RunnerSpec,
    WorkerPod,
)
from pynenc_operator.pool import Pool
from pynenc_worker.contract import WorkerState

# Ended pods that failed stay for `kubectl logs` this long.
FAILED_POD_HISTORY_SECONDS = 3600.0


def decide(spec: RunnerSpec, seen: Observation, now: float) -> Decision:
    """Decide what one runner's pool needs next. `now` and all times in `seen`: Unix seconds."""
    pool = pools.classify(spec, seen, now)
    if spec.mode is Mode.PAUSED:
        return _paused(pool)
    floor, floor_reason = _floor(spec, seen, now)
    cap = spec.max_replicas if spec.pin is None else spec.pin
    missing = max(0, floor - pool.serving)
    unmet, recount = _unmet_demand(spec, pool, seen.depth)
    reason = floor_reason if missing >= unmet else Reason.QUEUE_DEPTH

    cancels = _taken_back(spec, pool, cap, missing, unmet, reason)
    short = max(missing, unmet) - len(cancels)
    places = max(0, cap - len(pool.live))
    allowance = max(missing, _scale_up_allowance(spec, seen, now))
    count = max(0, min(short, places, allowance))
    limited = _limit(spec, short, places, allowance)

    leaving: list[Drain | Delete] = []
    if not count and not cancels:  # what is needed more of is not given up in the same breath
        leaving = _above_maximum(spec, pool, cap, now) or _not_needed(spec, pool, seen.depth, floor, now)
    wanted_again = {cancel.pod.uid for cancel in cancels}
    return Decision(
        desired=pool.serving + len(cancels) + count - len(leaving),
        reason=_main_reason(seen, moved_up=bool(count or cancels), up=reason, leaving=leaving, limited=limited),
        create=Create(count, reason) if count else None,
        cancels=cancels,
        drains=tuple(step for step in leaving if isinstance(step, Drain)),
        deletes=(
            *(step for step in leaving if isinstance(step, Delete)),
            *(step for step in _over(spec, pool, now) if step.pod.uid not in wanted_again),
        ),
        limited=limited,
        recount=recount and (places > 0 or bool(pool.draining)),
    )


def _paused(pool: Pool) -> Decision:
    """Rule 1: open drains are taken back, then nothing is created, drained or deleted."""
    cancels = tuple(CancelDrain(pod, Reason.PAUSED) for pod in pool.draining)
    return Decision(desired=pool.serving + len(cancels), reason=Reason.PAUSED, cancels=cancels)


def _floor(spec: RunnerSpec, seen: Observation, now: float) -> tuple[int, Reason]:
    """Pods that serve whatever the queue holds (rule 1: `onBrokerDown: Replicas` raises it)."""
    if spec.pin is not None:
        return spec.pin, Reason.PINNED
    if spec.enforce_max_replicas:
        return spec.max_replicas, Reason.ENFORCED_MAXIMUM
    down = spec.broker_down
    if down and seen.depth is None and seen.broker_down_since is not None:
        raised = min(down.replicas, spec.max_replicas)
        if now - seen.broker_down_since >= down.after_seconds and raised > spec.min_replicas:
            return raised, Reason.BROKER_DOWN_REPLICAS
    return min(spec.min_replicas, spec.max_replicas), Reason.MIN_REPLICAS


def _unmet_demand(spec: RunnerSpec, pool: Pool, depth: QueueDepth | None) -> tuple[int, bool]:
    """Rules 1, 2: pods that the queue needs beyond the slots, and whether a recount must confirm more.

    Example, maxThreads 1, 2 idle and 3 active pods, 4 queued: with the active pods' slots nothing is
    lacking, without them 2 are. So the queue is counted again half a second later; if 3 are still
    there, 3 - 2 = 1 pod is needed: an idle worker takes work within 0.3 s, an active one with a free
    thread as well.
    """
    if depth is None:
        return 0, False
    free = pool.free_slots(spec.max_threads)
    believed = free + spec.max_threads * len(pool.active)
    if depth.recount is None:
        return _pods_for(depth.count - believed, spec), bool(pool.active) and depth.count > free
    stayed = min(depth.count, depth.recount) - free
    return _pods_for(max(stayed, depth.recount - believed), spec), False


def _pods_for(invocations: int, spec: RunnerSpec) -> int:
    return math.ceil(max(0, invocations) / spec.max_threads)


def _scale_up_allowance(spec: RunnerSpec, seen: Observation, now: float) -> int:
    """Rule 3: pods that `scaleUp` still lets demand create; those that exist tell of the period."""
    if spec.scale_up is None:
        return spec.max_replicas
    recent = sum(now - pod.created < spec.scale_up.period_seconds for pod in seen.pods)
    return max(0, spec.scale_up.max_pods - recent)


def _limit(spec: RunnerSpec, short: int, places: int, allowance: int) -> Reason | None:
    """What keeps the pool from growing as far as it should, if anything does."""
    if short <= min(places, allowance):
        return None
    if allowance < places:
        return Reason.SCALE_UP_LIMIT
    return Reason.MAX_REPLICAS if spec.pin is None else Reason.PINNED


def _taken_back(
    spec: RunnerSpec, pool: Pool, cap: int, missing: int, unmet: int, reason: Reason
) -> tuple[CancelDrain, ...]:
    """Rule 5: drains to take back before a pod is created; for the floor any, for demand those with a free thread.

    A drain for the maximum is taken back only when there is room under it again, as `cap` sees to.
    """

    def has_free_thread(pod: WorkerPod) -> bool:
        return pod.status is None or pod.status.active_count < spec.max_threads

    wanted = min(max(missing, unmet), cap - pool.serving)
    taken: list[WorkerPod] = []
    for pod in sorted(pool.draining, key=lambda pod: (not has_free_thread(pod), pod.created, pod.name)):
        if len(taken) < wanted and (has_free_thread(pod) or len(taken) < missing):
            taken.append(pod)
    return tuple(CancelDrain(pod, reason) for pod in taken)


def _above_maximum(spec: RunnerSpec, pool: Pool, cap: int, now: float) -> list[Drain | Delete]:
    """Rule 4: serving pods above the maximum or the pin: not-started ones, then idle, then busy ones."""
    reason = Reason.ABOVE_MAXIMUM if spec.pin is None else Reason.PINNED
    request = DrainRequest(DrainCause.ABOVE_MAXIMUM, now)
    busy = (*pools.newest_first(pool.starting), *pools.newest_first(pool.active))
    order: list[Drain | Delete] = [
        *(Delete(pod, reason) for pod in pools.newest_first(pool.not_started)),
        *(Drain(pod, request, reason) for pod in (*pools.longest_idle_first(pool.idle), *busy)),
    ]
    return order[: max(0, pool.serving - cap)]


def _not_needed(spec: RunnerSpec, pool: Pool, depth: QueueDepth | None, floor: int, now: float) -> list[Drain | Delete]:
    """Rule 4: pods above the floor whose slots even the highest depth of the last 2 s leaves free."""
    if depth is None:
        return []
    idle_for_long = (pod for pod in pool.idle if pod.status and pod.status.is_idle(now, spec.idle_timeout_seconds))
    request = DrainRequest(DrainCause.IDLE, now)
    order: list[Drain | Delete] = [
        *(Delete(pod, Reason.NOT_NEEDED) for pod in pools.newest_first(pool.not_started)),
        *(Drain(pod, request, Reason.IDLE_TIMEOUT) for pod in pools.longest_idle_first(idle_for_long)),
    ]
    spare_pods = (pool.free_slots(spec.max_threads) - depth.peak) // spec.max_threads
    return order[: max(0, min(pool.serving - floor, spare_pods))]


def _over(spec: RunnerSpec, pool: Pool, now: float) -> Iterator[Delete]:
    """Pods whose life is over: drained (rule 5: the two ids are equal now), silent, ended."""
    for pod in pool.draining:
        drained = pod.status is not None and pod.status.state is WorkerState.DRAINED
        if drained and pod.drain_answer == pod.drain_request:
            yield Delete(pod, Reason.DRAINED)
    yield from (Delete(pod, Reason.SILENT) for pod in pool.silent)
    kept = 0
    for pod in sorted(pool.ended, key=lambda pod: (pod.ended_at or pod.created, pod.name), reverse=True):
        recent = now - (pod.ended_at or pod.created) < FAILED_POD_HISTORY_SECONDS
        if pod.failed and recent and kept < spec.failed_pods_history_limit:
            kept += 1
        else:
            yield Delete(pod, Reason.ENDED)


def _main_reason(
    seen: Observation, *, moved_up: bool, up: Reason, leaving: list[Drain | Delete], limited: Reason | None
) -> Reason:
    """Rule 9, the one reason that status shows: what moved the pool, else what holds it, else Steady."""
    if moved_up:
        return up
    if leaving:
        return leaving[0].reason
    if seen.depth is None:
        return Reason.BROKER_UNREACHABLE
    return limited or Reason.STEADY
