"""The rules of scaling: `decide(spec, seen, now)`, the heart of the operator.

Pure: no clock, no network, no memory. Deciding again on the result of a decision decides nothing.

1. Unknown is not zero: without a queue depth nothing is created for demand and nobody is asked to
   leave for idleness; floor, maximum, finished drains and ended pods go on.
2. Slots are what can take queued work. Idle and coming pods bring maxThreads each. Active pods may
   have free threads: they are believed to at the first count, and if that belief decides, the queue
   is counted again; what stands there still has found no thread.
3. Up: what the floor lacks, or what the queue needs beyond the slots, whichever is more. Work that idle
   workers leave alone adds no pods (`consumption`).
4. Down: only pods above the floor that the queue does not need: not-started ones at once, idle ones
   after the idle timeout. Busy pods are never asked for idleness.
5. Leaving takes two steps: a drain request, and a deletion once the worker has answered it. A drain
   that is not answered is taken back before a pod is created.
6. A new template: one new pod first; then as many old pods leave as new ones have reported (`rollout`).
7. Trouble: while pods of the template fail, one at a time is tried, ever more rarely (`failures`).
8. Nobody's invocations are forgotten: dead runners are named on a living worker, and one lives for as
   long as any wait (`recovery`).
"""

import math
from dataclasses import dataclass

from pynenc_operator import consumption, failures, leaving, recovery, rollout
from pynenc_operator import pool as pools
from pynenc_operator.decision import CancelDrain, Create, Decision, Delete, Drain
from pynenc_operator.model import Observation, QueueDepth
from pynenc_operator.pool import Pool
from pynenc_operator.reason import Reason
from pynenc_operator.recovery import Recovery
from pynenc_operator.runnerspec import Mode, RunnerSpec


def decide(spec: RunnerSpec, seen: Observation, now: float) -> Decision:
    """Decide what one runner's pool needs next. `now` and all times in `seen`: Unix seconds.

    One direction at a time: what is needed more of is not given up in the same breath, and a change of
    template waits for both.
    """
    pool = pools.classify(spec, seen, now)
    dead = recovery.plan(pool, seen, now)
    if spec.mode is Mode.PAUSED:
        return _paused(pool, dead)
    not_consumed = consumption.not_consumed(pool, seen, now)
    pool = consumption.with_suspect(pool, seen, now, not_consumed=not_consumed)
    depth = consumption.demand_of_one(spec, seen.depth) if not_consumed and seen.depth else seen.depth
    need = _need(spec, seen, pool, depth, dead, now)
    growth = _grow(spec, seen, pool, need, now)
    going: tuple[Drain | Delete, ...] = ()
    if not growth.moves:
        going = (
            leaving.above_maximum(spec, pool, need.cap, now)
            or consumption.suspect_leaves(pool, now)
            or leaving.not_needed(spec, pool, depth, need.floor, now)
        )
    if not growth.moves and not going and seen.depth is not None:
        change = rollout.roll_out(spec, pool, need.cap, need.unmet, now, quota_full=seen.quota_full)
        going = change.leaving
        if change.first_new_pod and failures.trials_left(seen, now) != 0 and not seen.creation_held:
            growth = _Growth(count=1, reason=Reason.TEMPLATE)
    return Decision(
        desired=pool.serving + len(growth.cancels) + growth.count - len(going),
        reason=_main_reason(seen, growth, going),
        create=Create(growth.count, growth.reason) if growth.count else None,
        cancels=growth.cancels,
        drains=tuple(step for step in going if isinstance(step, Drain)),
        deletes=(
            *(step for step in going if isinstance(step, Delete)),
            *leaving.over(spec, pool, now),
        ),
        recovery=dead.steps,
        limited=growth.limited,
        recount=need.recount,
        unrecovered=dead.waiting,
        not_consumed=not_consumed,
    )


@dataclass(frozen=True, slots=True)
class _Need:
    """What a pool should have: `missing` pods to the floor, `unmet` pods for the queue, at most `cap` live."""

    cap: int
    floor: int
    floor_reason: Reason
    missing: int
    unmet: int
    recount: bool


@dataclass(frozen=True, slots=True)
class _Growth:
    """Drains to take back, pods to create, and what keeps it from being more."""

    reason: Reason
    cancels: tuple[CancelDrain, ...] = ()
    count: int = 0
    limited: Reason | None = None

    @property
    def moves(self) -> bool:
        return bool(self.cancels or self.count)


def _paused(pool: Pool, dead: Recovery) -> Decision:
    """Rule 1: drains without an answer are taken back, then nothing is created, drained or deleted."""
    cancels = tuple(CancelDrain(pod, Reason.PAUSED) for pod in pool.revocable)
    serving = pool.serving + len(cancels)
    return Decision(desired=serving, reason=Reason.PAUSED, cancels=cancels, unrecovered=dead.waiting)


def _need(
    spec: RunnerSpec, seen: Observation, pool: Pool, depth: QueueDepth | None, dead: Recovery, now: float
) -> _Need:
    floor, floor_reason = _floor(spec, seen, now)
    cap = spec.max_replicas if spec.pin is None else spec.pin
    if spec.pin is None and floor < min(dead.floor, cap):
        floor, floor_reason = min(dead.floor, cap), Reason.WORKER_DIED if dead.waiting else Reason.ORPHANS
    unmet, recount = _unmet_demand(spec, pool, depth)
    could_grow = cap > len(pool.live) or bool(pool.revocable)
    return _Need(cap, floor, floor_reason, max(0, floor - pool.serving), unmet, recount and could_grow)


def _grow(spec: RunnerSpec, seen: Observation, pool: Pool, need: _Need, now: float) -> _Growth:
    """Rule 3: take drains back, then create what still lacks, within every limit."""
    reason = need.floor_reason if need.missing >= need.unmet else Reason.QUEUE_DEPTH
    cancels = leaving.taken_back(spec, pool, need.cap, need.missing, need.unmet, reason)
    short = max(0, max(need.missing, need.unmet) - len(cancels))
    if short and seen.creation_held:
        return _Growth(reason, cancels, limited=seen.held_for)
    limits = {
        Reason.MAX_REPLICAS if spec.pin is None else Reason.PINNED: max(0, need.cap - len(pool.live)),
        Reason.SCALE_UP_LIMIT: max(need.missing, _scale_up_allowance(spec, seen, now)),
        Reason.START_FAILURES: short if (trials := failures.trials_left(seen, now)) is None else trials,
    }
    tightest = min(limits, key=lambda limit: limits[limit])
    count = min(short, limits[tightest])
    # Pods whose drains are answered make room with this very decision: what only waits for that is not held back.
    soon = count + sum(pod.drained for pod in pool.draining)
    return _Growth(reason, cancels, count, tightest if soon < short else None)


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
    thread as well. Where the backend shows its entries only those count that were there both times:
    a fast stream of short tasks has a few waiting at every count, and never the same ones.
    """
    if depth is None:
        return 0, False
    free = pool.free_slots(spec.max_threads)
    believed = free + spec.max_threads * len(pool.active)
    if depth.recount is None:
        return _pods_for(depth.count - believed, spec), bool(pool.active) and depth.count > free
    if depth.stayed is not None:
        return _pods_for(depth.stayed - free, spec), False
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


def _main_reason(seen: Observation, growth: _Growth, going: tuple[Drain | Delete, ...]) -> Reason:
    """Rule 9, the one reason that status shows: what moved the pool, else what holds it, else Steady."""
    if growth.moves:
        return growth.reason
    if going:
        return going[0].reason
    if seen.depth is None:
        return Reason.BROKER_UNREACHABLE
    return growth.limited or Reason.STEADY
