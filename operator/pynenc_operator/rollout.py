"""Rule 6: from an old template to a new one, without giving up pods that work for pods that don't.

Pure. While an old pod serves, one new pod is made first. Then as many old pods are under drain as new
ones have reported, 1, 2, 4 ..., idle ones first, and none while a new one is still starting. While
demand is unmet, none is asked to leave below the maximum, and one at it. With a full quota, or no surge,
one old pod makes room for the first new one.
"""

from dataclasses import dataclass

from pynenc_operator import pool as pools
from pynenc_operator.decision import Delete, Drain
from pynenc_operator.model import DrainCause, DrainRequest, WorkerPod
from pynenc_operator.pool import Pool
from pynenc_operator.reason import Reason
from pynenc_operator.runnerspec import RunnerSpec


@dataclass(frozen=True, slots=True)
class Rollout:
    """What a change of template asks for now: a first new pod, or old pods to leave."""

    first_new_pod: bool = False
    leaving: tuple[Drain | Delete, ...] = ()


def roll_out(spec: RunnerSpec, pool: Pool, cap: int, unmet: int, now: float, *, quota_full: bool) -> Rollout:
    """Decide the next step from the old template to the new; nothing where no old pod serves."""
    if not pool.old:
        return Rollout()
    new_reported = pool.serving - len(pool.old) - len(pool.new_coming)
    if pool.new_coming:
        return Rollout()
    if not new_reported:
        if len(pool.live) < cap + spec.max_surge and not quota_full:
            return Rollout(first_new_pod=True)
        under_way = len(pool.live) > pool.serving
        return Rollout(leaving=() if under_way else _leave(pool, 1, now))
    under_drain = sum(bool(pod.drain and pod.drain.cause is DrainCause.TEMPLATE) for pod in pool.draining)
    allowed = new_reported - under_drain
    if unmet:
        allowed = min(allowed, 1 - under_drain) if len(pool.live) >= cap else 0
    return Rollout(leaving=_leave(pool, max(0, allowed), now))


def _leave(pool: Pool, count: int, now: float) -> tuple[Drain | Delete, ...]:
    """Old pods to leave: what can't be lost first, then idle ones, then busy ones, which finish."""

    def old(pods: tuple[WorkerPod, ...]) -> list[WorkerPod]:
        return [pod for pod in pods if pool.is_old(pod)]

    request = DrainRequest(DrainCause.TEMPLATE, now)
    busy = pools.newest_first(old((*pool.starting, *pool.active)))
    order: list[Drain | Delete] = [
        *(Delete(pod, Reason.TEMPLATE) for pod in pools.newest_first(old(pool.not_started))),
        *(Drain(pod, request, Reason.TEMPLATE) for pod in (*pools.longest_idle_first(old(pool.idle)), *busy)),
    ]
    return tuple(order[:count])
