"""Rule 7: pods of a template that fail, and how rarely such a template is tried.

Pure. A failure is a pod that never reported, or that ended without `drained` within 60 s of its start.
Evictions and node drains are none. A wave that fails together is one step: a failure adds one only if
its pod was created after the last. While failures stand, one pod at a time is tried. A pod of the
template that started after the last failure, has reported and lived a minute, or left in order before,
clears them; so does a new template.
"""

from collections.abc import Iterable
from typing import Final

from pynenc_operator.model import Failures, Observation, Trouble, WorkerPod
from pynenc_operator.pool import start_deadline
from pynenc_operator.runnerspec import RunnerSpec
from pynenc_worker.contract import WorkerState

RETRY_SECONDS: Final = (5.0, 20.0, 80.0, 300.0)
YOUNG_SECONDS: Final = 60.0


def retry_after(failed_tries: int) -> float:
    """Seconds to wait after so many tries that failed, 1 or more."""
    return RETRY_SECONDS[min(failed_tries, len(RETRY_SECONDS)) - 1]


def assess(spec: RunnerSpec, seen: Observation, now: float) -> Failures | None:
    """What failures of the present template stand, given those known and the pods that are seen."""
    known = seen.failures if seen.failures and seen.failures.template_hash == seen.template else None
    pods = [pod for pod in seen.pods if pod.template_hash == seen.template]
    for when, pod in sorted(_failed(spec, seen, pods, now), key=lambda failed: failed[0]):
        if known is None:
            if now - when <= YOUNG_SECONDS:  # older ones are history: kept for `kubectl logs`, and cleared before
                known = Failures(seen.template, 1, when)
        elif pod.created > known.last_time:
            known = Failures(seen.template, known.count + 1, when)
    if known and any(_proves_it_works(pod, known, now) for pod in pods):
        return None
    return known


def trials_left(seen: Observation, now: float) -> int | None:
    """How many pods may be created while failures stand: one at a time, ever more rarely. None: as many as wanted."""
    failures = seen.failures
    if failures is None:
        return None
    on_trial = any(
        pod.template_hash == seen.template
        and not pod.terminating
        and not pod.ended
        and pod.created > failures.last_time
        for pod in seen.pods
    )
    return int(not on_trial and now >= failures.last_time + retry_after(failures.count))


def trouble_of(seen: Observation) -> Trouble | None:
    """What the platform says of the newest pod of the present template that it can't run, if there is one."""
    troubled = [pod for pod in seen.pods if pod.trouble and pod.template_hash == seen.template and not pod.disrupted]
    if not troubled:
        return None
    pod = max(troubled, key=lambda pod: (pod.created, pod.name))
    if pod.ended and seen.failures is None:
        return None  # it is history
    return Trouble(pod.trouble.reason, f"{pod.name}: {pod.trouble.message}") if pod.trouble else None


def ended_too_early(pod: WorkerPod) -> bool:
    """Whether a pod that has ended never reported, or ended without `drained` within a minute of its start."""
    early = pod.started_at is None or (pod.ended_at or pod.created) - pod.started_at <= YOUNG_SECONDS
    return pod.status is None or (early and pod.owns)


def _failed(
    spec: RunnerSpec, seen: Observation, pods: Iterable[WorkerPod], now: float
) -> Iterable[tuple[float, WorkerPod]]:
    """Pods that have failed, with the time."""
    deadline = start_deadline(spec, seen.start_seconds)
    for pod in pods:
        if pod.terminating or pod.disrupted:
            continue
        if pod.ended:
            if ended_too_early(pod):
                yield pod.ended_at or pod.created, pod
        elif pod.status is None and now - pod.created > deadline:
            yield pod.created + deadline, pod


def _proves_it_works(pod: WorkerPod, failures: Failures, now: float) -> bool:
    if pod.status is None or pod.started_at is None or pod.started_at < failures.last_time:
        return False
    if pod.status.state is WorkerState.DRAINED:
        return True
    return not pod.ended and not pod.terminating and now - pod.started_at >= YOUNG_SECONDS
