"""The words that every decision is made of: what is wanted, what is seen, what is to be done.

Pure data. Times are Unix seconds by the API server's clock, durations are seconds.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Self

from pynenc_worker.contract import WorkerState


class Key(NamedTuple):
    """A runner's namespace and name: what is queued, cached and reported under."""

    namespace: str
    name: str


class Reason(StrEnum):
    """Why something is decided: the one vocabulary of status, events and metrics."""

    STEADY = "Steady"
    QUEUE_DEPTH = "QueueDepth"
    MIN_REPLICAS = "MinReplicas"
    ENFORCED_MAXIMUM = "EnforcedMaximum"
    PINNED = "Pinned"
    BROKER_DOWN_REPLICAS = "BrokerDownReplicas"
    MAX_REPLICAS = "MaxReplicas"
    SCALE_UP_LIMIT = "ScaleUpLimit"
    QUOTA = "QuotaExceeded"
    START_FAILURES = "StartFailures"
    TEMPLATE = "TemplateChanged"
    IDLE_TIMEOUT = "IdleTimeout"
    NOT_NEEDED = "NotNeeded"
    ABOVE_MAXIMUM = "AboveMaximum"
    DRAINED = "Drained"
    SILENT = "Silent"
    ENDED = "Ended"
    BROKER_UNREACHABLE = "BrokerUnreachable"
    PAUSED = "Paused"


class DrainCause(StrEnum):
    """Why a pod was asked to leave: it stands in the request's id, and so outlives the operator."""

    IDLE = "idle"
    ABOVE_MAXIMUM = "above-maximum"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class DrainRequest:
    """A request to a worker to take no more work; its id is what the worker answers with."""

    cause: DrainCause
    asked: float

    @property
    def id(self) -> str:
        """The annotation's value: cause and time in milliseconds, so that two requests never look alike."""
        return f"{self.cause}.{round(self.asked * 1000)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id back; ValueError if it was not written here."""
        cause, _, milliseconds = text.partition(".")
        return cls(DrainCause(cause), int(milliseconds) / 1000)


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What a worker last said of itself: pynenc's ProcessStatus, read from annotations.

    `last_update` is the last *transition*, where pynenc's is refreshed in every loop, so that a
    healthy process never looks idle there.
    """

    last_update: float
    active_count: int
    state: WorkerState

    def is_idle(self, now: float, idle_timeout: float) -> bool:
        """Whether the worker has had nothing to do for longer than `idle_timeout`."""
        return self.state is WorkerState.IDLE and now - self.last_update > idle_timeout


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the platform can't run a pod's worker, in its own words."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class WorkerPod:
    """A slim view of one pod that a runner owns."""

    name: str
    uid: str
    resource_version: str
    created: float
    template_hash: str
    owner_uid: str = ""  # of the controller's ownerReference: a label does not make a pod ours
    terminating: bool = False
    ended: bool = False
    failed: bool = False  # ended otherwise than by exit code 0
    ended_at: float | None = None
    container_started: bool = False
    started_at: float | None = None  # when the worker container started
    disrupted: bool = False  # evicted, or its node drained: no fault of its own
    trouble: Trouble | None = None
    ready: bool = False
    status: WorkerStatus | None = None
    drain_request: str | None = None
    drain_answer: str | None = None

    @property
    def drain(self) -> DrainRequest | None:
        """The open drain request; one that is not ours counts as asked for idleness at creation."""
        if not self.drain_request:
            return None
        try:
            return DrainRequest.parse(self.drain_request)
        except ValueError:
            return DrainRequest(DrainCause.IDLE, self.created)


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures of a template's pods that stand: how many waves of them, and when the last began."""

    template_hash: str
    count: int
    last_time: float


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Invocations that wait in the queue, counted by pynenc's broker.

    `recount` is a second count, at least half a second after `count`: what stood in the queue at
    both found no free thread. `peak` is the highest count of the last 2 s.
    """

    count: int
    peak: int
    recount: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What is seen of one runner. `depth` None: the broker did not answer; unknown is not zero."""

    pods: tuple[WorkerPod, ...]
    depth: QueueDepth | None
    template: str  # hash of the present template
    failures: Failures | None = None  # of the present template
    broker_down_since: float | None = None
    start_seconds: int | None = None  # learned: from a pod's creation to its first report


@dataclass(frozen=True, slots=True)
class Drain:
    """Ask a pod to take no more work."""

    pod: WorkerPod
    request: DrainRequest
    reason: Reason


@dataclass(frozen=True, slots=True)
class CancelDrain:
    """Take a drain back: the pod is wanted again."""

    pod: WorkerPod
    reason: Reason


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a pod, if it still is what it was when this was decided."""

    pod: WorkerPod
    reason: Reason


type Step = CancelDrain | Drain | Delete


@dataclass(frozen=True, slots=True)
class Create:
    """Create pods of the present template."""

    count: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done for one runner, and why.

    `desired` is the number of serving pods once it is done. `limited` says what kept it from being
    higher. `recount` asks for a second count of the queue before anything is created for demand.
    """

    desired: int
    reason: Reason
    create: Create | None = None
    cancels: tuple[CancelDrain, ...] = ()
    drains: tuple[Drain, ...] = ()
    deletes: tuple[Delete, ...] = ()
    limited: Reason | None = None
    recount: bool = False

    @property
    def acts(self) -> bool:
        """Whether carrying it out writes anything."""
        return bool(self.create or self.cancels or self.drains or self.deletes)

    @property
    def scales(self) -> bool:
        """Whether it changes how many pods serve; to clear away those whose life is over does not."""
        over = {Reason.DRAINED, Reason.SILENT, Reason.ENDED}
        return bool(self.create or self.cancels or self.drains or any(step.reason not in over for step in self.deletes))
