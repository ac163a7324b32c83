"""Rules 4 and 5: who may leave, who is asked to, who comes back, and whose life is over.

Pure. Leaving takes two steps: a drain request, and a deletion once the worker has answered it. Busy
pods are never asked for idleness.
"""

from collections.abc import Iterator

from pynenc_operator import pool as pools
from pynenc_operator.decision import CancelDrain, Delete, Drain
from pynenc_operator.model import DrainCause, DrainRequest, QueueDepth, WorkerPod
from pynenc_operator.pool import Pool
from pynenc_operator.reason import Reason
from pynenc_operator.runnerspec import RunnerSpec
from pynenc_worker.contract import WorkerState

# Ended pods that failed stay for `kubectl logs` this long.
FAILED_POD_HISTORY_SECONDS = 3600.0
# What holds nothing any more, or never did, needs no time for its tasks. Its worker needs seconds; a sidecar that
# does not end, or a worker that a task has made deaf to SIGTERM, keeps the pod no longer than this.
EMPTY_POD_GRACE_SECONDS = 30


def taken_back(
    spec: RunnerSpec, pool: Pool, cap: int, missing: int, unmet: int, reason: Reason
) -> tuple[CancelDrain, ...]:
    """Rule 5: drains to take back before a pod is created; for the floor any, for demand those with a free thread.

    None that is answered: that worker is ending.

    One for idleness that met work in its last moment is taken back at once: only the others may end in a
    hand-back at the drain timeout.
    A drain for the maximum is taken back only when there is room under it again, as `cap` sees to; one
    for a template only if that template is the present one again. An old pod does not come back once a
    new one has proven itself.
    """
    reported_new = any(not pool.is_old(pod) for pod in pool.workers)

    def wanted_back(pod: WorkerPod) -> bool:
        if pod.drain and pod.drain.cause is DrainCause.HANGING:
            return False
        if pod.template_hash == pool.template:
            return True
        drain = pod.drain
        return not reported_new and drain is not None and drain.cause is not DrainCause.TEMPLATE

    def has_free_thread(pod: WorkerPod) -> bool:
        return pod.status is None or pod.status.active_count < spec.max_threads

    room = max(0, cap - pool.serving)
    met_work = [pod for pod in pool.revocable if _works_after_all(pod)][:room]
    wanted = min(max(missing, unmet) - len(met_work), room - len(met_work))
    taken: list[WorkerPod] = []
    candidates = [pod for pod in pool.revocable if wanted_back(pod) and pod not in met_work]
    for pod in sorted(candidates, key=lambda pod: (not has_free_thread(pod), pod.created, pod.name)):
        if len(taken) < wanted and (has_free_thread(pod) or len(taken) < missing):
            taken.append(pod)
    return (
        *(CancelDrain(pod, Reason.NOT_IDLE) for pod in met_work),
        *(CancelDrain(pod, reason) for pod in taken),
    )


def _works_after_all(pod: WorkerPod) -> bool:
    idleness = pod.drain is not None and pod.drain.cause is DrainCause.IDLE
    return idleness and pod.status is not None and pod.status.state is WorkerState.DRAINING


def above_maximum(spec: RunnerSpec, pool: Pool, cap: int, now: float) -> tuple[Drain | Delete, ...]:
    """Rule 4: serving pods above the maximum or the pin: not-started ones, then idle, then busy ones.

    While an old template's pods serve, a rollout may have `maxSurge` more, and theirs go first.
    """
    too_many = pool.serving - cap
    if too_many > 0 and pool.old:
        too_many -= spec.max_surge
    if too_many <= 0:
        return ()
    reason = Reason.ABOVE_MAXIMUM if spec.pin is None else Reason.PINNED
    request = DrainRequest(DrainCause.ABOVE_MAXIMUM, now)
    busy = (*pools.newest_first(pool.starting), *pools.newest_first(pool.active))
    order: list[Drain | Delete] = [
        *(Delete(pod, reason) for pod in pools.newest_first(pool.not_started)),
        *(Drain(pod, request, reason) for pod in (*pools.longest_idle_first(pool.idle), *busy)),
    ]
    order.sort(key=lambda step: not pool.is_old(step.pod))
    return tuple(order[:too_many])


def not_needed(
    spec: RunnerSpec, pool: Pool, depth: QueueDepth | None, floor: int, now: float
) -> tuple[Drain | Delete, ...]:
    """Rule 4: pods above the floor whose slots even the highest depth of the last 2 s leaves free.

    In a rollout only old ones go, and new ones that have not reported yet replace none of them. Who
    recovers a dead worker's invocations stays until it has answered and that is written down.
    """
    if depth is None or pool.serving <= floor:
        return ()
    idle_for_long = (
        pod
        for pod in pool.idle
        if pod.status and pod.status.is_idle(now, spec.idle_timeout_seconds) and not pod.recover
    )
    request = DrainRequest(DrainCause.IDLE, now)
    order: list[Drain | Delete] = [
        *(Delete(pod, Reason.NOT_NEEDED) for pod in pools.newest_first(pool.not_started)),
        *(Drain(pod, request, Reason.IDLE_TIMEOUT) for pod in pools.longest_idle_first(idle_for_long)),
    ]
    serving, free_slots = pool.serving, pool.free_slots(spec.max_threads)
    if pool.old:
        order = [step for step in order if pool.is_old(step.pod)]
        unproven = len(pool.new_coming)
        serving, free_slots = serving - unproven, free_slots - unproven * spec.max_threads
    spare_pods = (free_slots - depth.peak) // spec.max_threads
    return tuple(order[: max(0, min(serving - floor, spare_pods))])


def over(spec: RunnerSpec, pool: Pool, now: float) -> Iterator[Delete]:
    """Pods whose life is over: drained (rule 5: the two ids are equal now), silent, ended and owning nothing."""
    for pod in pool.draining:
        if pod.drained:
            yield Delete(pod, _reason_of_end(spec, pod), EMPTY_POD_GRACE_SECONDS)
    for pod in pool.silent:
        # Before its first report it takes nothing; and where SIGTERM came too early for Python, only SIGKILL ends it.
        yield Delete(pod, Reason.SILENT, None if pod.status else EMPTY_POD_GRACE_SECONDS)
    kept = 0
    told = (pod for pod in pool.ended if not pod.died or pod.recovered_by)
    for pod in sorted(told, key=lambda pod: (pod.ended_at or pod.created, pod.name), reverse=True):
        recent = now - (pod.ended_at or pod.created) < FAILED_POD_HISTORY_SECONDS
        if pod.failed and not pod.drained and recent and kept < spec.failed_pods_history_limit:
            kept += 1
        else:
            yield Delete(pod, _reason_of_end(spec, pod), EMPTY_POD_GRACE_SECONDS)


def _reason_of_end(spec: RunnerSpec, pod: WorkerPod) -> Reason:
    """Why a pod goes that has drained or ended; who has drained ends by itself, which may be seen first."""
    if not pod.drained:
        return Reason.ENDED
    return Reason.DRAIN_TIMEOUT if pod.handed_back(spec.drain_timeout_seconds) else Reason.DRAINED
