"""What the pods of a runner are to the rules: who serves, who brings slots, who may be asked to leave.

Pure. Each word here is one of docs/architecture.md's; the rules in `scaling` are written with them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pynenc_operator.model import Observation, WorkerPod
from pynenc_operator.runnerspec import RunnerSpec
from pynenc_worker.contract import WorkerState

# A start deadline that is not set is learned: twice the slowest start seen, within these bounds.
FIRST_START_DEADLINE_SECONDS = 300.0
LEAST_START_DEADLINE_SECONDS = 60.0
START_DEADLINE_FACTOR = 2.0
# How long after the drain timeout a worker may still take to say that it has drained.
DRAIN_ANSWER_SECONDS = 60.0


def start_deadline(spec: RunnerSpec, start_seconds: int | None) -> float:
    """Seconds from a pod's creation within which it must have reported."""
    if spec.start_deadline_seconds is not None:
        return float(spec.start_deadline_seconds)
    if start_seconds is None:
        return FIRST_START_DEADLINE_SECONDS
    return max(LEAST_START_DEADLINE_SECONDS, START_DEADLINE_FACTOR * start_seconds)


@dataclass(frozen=True, slots=True)
class Pool:
    """A runner's pods, each in the one class that the rules know it by.

    The classes of serving pods are disjoint: `not_started`, `starting`, `idle`, `active`.
    """

    template: str  # hash of the present template
    live: tuple[WorkerPod, ...]  # neither terminating nor ended; they hold places under the maximum
    draining: tuple[WorkerPod, ...]
    silent: tuple[WorkerPod, ...]
    not_started: tuple[WorkerPod, ...]  # no container has run: nothing can be lost with them
    starting: tuple[WorkerPod, ...]  # started without a report, or taken back from a drain: busy until they say
    idle: tuple[WorkerPod, ...]
    active: tuple[WorkerPod, ...]
    ended: tuple[WorkerPod, ...]
    suspect: WorkerPod | None = None  # an idle one that may hang

    @property
    def serving_pods(self) -> tuple[WorkerPod, ...]:
        """Pods that take work, or will."""
        return (*self.not_started, *self.starting, *self.idle, *self.active)

    @property
    def workers(self) -> tuple[WorkerPod, ...]:
        """Serving pods that have reported: they take work, and do what they are asked."""
        return (*self.idle, *self.active)

    @property
    def revocable(self) -> tuple[WorkerPod, ...]:
        """Draining pods whose request can be taken back. Those that have answered end by themselves."""
        return tuple(pod for pod in self.draining if not pod.drained)

    @property
    def old(self) -> tuple[WorkerPod, ...]:
        """Serving pods of another template than the present one."""
        return tuple(pod for pod in self.serving_pods if self.is_old(pod))

    def is_old(self, pod: WorkerPod) -> bool:
        """Whether a pod is of another template than the present one."""
        return pod.template_hash != self.template

    @property
    def new_coming(self) -> tuple[WorkerPod, ...]:
        """Pods of the present template that have not reported yet."""
        return tuple(pod for pod in (*self.not_started, *self.starting) if pod.template_hash == self.template)

    @property
    def serving(self) -> int:
        """How many pods take work, or will."""
        return len(self.serving_pods)

    def free_slots(self, max_threads: int) -> int:
        """Threads that are free or coming; those of active pods are not known and not counted."""
        pods = len(self.not_started) + len(self.starting) + len(self.idle) - (self.suspect is not None)
        return max_threads * pods


def _is_silent(pod: WorkerPod, spec: RunnerSpec, start_seconds: int | None, now: float) -> bool:
    if pod.status is None:
        return now - pod.created > start_deadline(spec, start_seconds)
    drain = pod.drain
    if drain is None or pod.status.state is WorkerState.DRAINED:
        return False
    return now - drain.asked > spec.drain_timeout_seconds + DRAIN_ANSWER_SECONDS


def classify(spec: RunnerSpec, seen: Observation, now: float) -> Pool:
    """Sort a runner's pods into the classes of the rules."""
    live, ended, silent, draining = _lists(4)
    not_started, started, taken_back, idle, active = _lists(5)
    by_state = {WorkerState.IDLE: idle, WorkerState.ACTIVE: active}
    for pod in seen.pods:
        if pod.terminating:
            continue
        if pod.ended:
            ended.append(pod)
            continue
        live.append(pod)
        if _is_silent(pod, spec, seen.start_seconds, now):
            silent.append(pod)
        elif pod.drain_request:
            draining.append(pod)
        elif pod.status is None:
            (started if pod.container_started else not_started).append(pod)
        else:
            by_state.get(pod.status.state, taken_back).append(pod)
    return Pool(
        template=seen.template,
        live=tuple(live),
        draining=tuple(draining),
        silent=tuple(silent),
        not_started=tuple(not_started),
        starting=(*started, *taken_back),
        idle=tuple(idle),
        active=tuple(active),
        ended=tuple(ended),
    )


def _lists(count: int) -> Iterator[list[WorkerPod]]:
    return ([] for _ in range(count))


def newest_first(pods: Iterable[WorkerPod]) -> list[WorkerPod]:
    """Pods by creation, the newest first; names settle ties so that two operators agree."""
    return sorted(pods, key=lambda pod: (pod.created, pod.name), reverse=True)


def longest_idle_first(pods: Iterable[WorkerPod]) -> list[WorkerPod]:
    """Idle pods by the time of their last work, the oldest first."""
    return sorted(pods, key=lambda pod: (pod.status.last_update if pod.status else pod.created, pod.name))
