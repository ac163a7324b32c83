"""The words of what is seen: pods, their workers' reports, the queue.

Pure data. Times are Unix seconds by the API server's clock, durations are seconds.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, Self

from pynenc_operator.reason import Reason
from pynenc_worker.contract import WorkerState


class Key(NamedTuple):
    """A runner's namespace and name: what is queued, cached and reported under."""

    namespace: str
    name: str


class DrainCause(StrEnum):
    """Why a pod was asked to leave: it stands in the request's id, and so outlives the operator."""

    IDLE = "idle"
    ABOVE_MAXIMUM = "above-maximum"
    TEMPLATE = "template"
    HANGING = "hanging"


@dataclass(frozen=True, slots=True)
class DrainRequest:
    """A request to a worker to take no more work; its id is what the worker answers with."""

    cause: DrainCause
    asked: float  # Unix seconds; infinite if that is not known

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
    container_ended: bool = False  # said by the kubelet; a pod of a lost node is only called ended
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
    recover: tuple[str, ...] = ()  # dead runners that this worker is asked to recover, by id
    recovered: tuple[str, ...] = ()  # those of them that it says it has
    recovered_by: str | None = None  # who did that for this pod, which is dead
    pynenc: str | None = None  # version of the worker's pynenc, as it says

    @property
    def died(self) -> bool:
        """Whether its worker has ended without a word. Before its first report it held nothing that could be lost."""
        return self.container_ended and self.owns

    @property
    def owns(self) -> bool:
        """Whether its worker may hold invocations: it has reported, and has not said that it drained."""
        return self.status is not None and self.status.state is not WorkerState.DRAINED

    @property
    def drained(self) -> bool:
        """Whether it has done what the drain request asks for: its worker holds nothing, and takes nothing."""
        told = self.status is not None and self.status.state is WorkerState.DRAINED
        return told and self.drain_request is not None and self.drain_answer == self.drain_request

    def handed_back(self, drain_timeout: float) -> bool:
        """Whether it drained no sooner than its timeout, in seconds: what still ran went back to the queue then."""
        drain, status = self.drain, self.status
        return drain is not None and status is not None and status.last_update - drain.asked >= drain_timeout

    @property
    def drain(self) -> DrainRequest | None:
        """The open drain request; one that nobody here can have made has the cause that there are too many.

        Its worker obeys it, but when it was made is not known: nothing is overdue by it.
        """
        if not self.drain_request:
            return None
        try:
            request = DrainRequest.parse(self.drain_request)
        except (ValueError, OverflowError):
            return DrainRequest(DrainCause.ABOVE_MAXIMUM, math.inf)
        return request if request.asked >= self.created else replace(request, asked=math.inf)


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures of a template's pods that stand: how many waves of them, and when the last began."""

    template_hash: str
    count: int
    last_time: float


@dataclass(frozen=True, slots=True)
class QueueMark:
    """How far one of an app's queues reached at a count, so that a later one can tell what has stayed."""

    queue: str
    newest: str | None  # the last entry of what is first in, first out
    listed: int  # of how many
    prioritized: int = 0  # how many more have a priority
    latest: int | None = None  # the highest number of these, where they are few enough to be read


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Invocations that wait in the queue, counted by pynenc's broker.

    `recount` is a second count, at least half a second after `count`: what stood in the queue at both
    found no free thread. How many did, `stayed` says where the backend shows its entries. `peak` is the
    highest count of the last 2 s; `waiting_since` is since when no count was 0, and `fell_at` when one
    was last lower than the one before, as far as this operator has seen.
    """

    count: int
    peak: int
    recount: int | None = None
    stayed: int | None = None
    marks: tuple[QueueMark, ...] = ()  # where the backend shows its entries
    waiting_since: float | None = None
    fell_at: float | None = None


@dataclass(frozen=True, slots=True)
class Orphans:
    """Invocations that the backend says are held by somebody, seen while no worker lived: how many, and since when.

    `given_up`: a worker has lived for so long that pynenc would have found them dead, and they are held still.
    """

    count: int
    since: float
    given_up: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """What is seen of one runner. `depth` None: the broker did not answer; unknown is not zero."""

    pods: tuple[WorkerPod, ...]
    depth: QueueDepth | None
    template: str  # hash of the present template
    failures: Failures | None = None  # of the present template
    broker_down_since: float | None = None
    start_seconds: int | None = None  # learned: from a pod's creation to its first report
    quota_full: bool = False  # a pod was refused for the quota, and none has gone since
    creation_held: bool = False  # a refused creation waits for its next try
    held_for: Reason | None = None  # what to say of that, where it is a limit
    vanished: tuple[str, ...] = ()  # ids of dead runners whose pods are gone
    orphans: Orphans | None = None
    not_consumed_since: float | None = None  # since when idle workers have left queued work alone
    hang_suspected_at: float | None = None  # when an idle worker was last asked to leave because it may hang
    recovery_since: float | None = None  # since when dead workers' invocations wait
