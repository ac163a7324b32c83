"""The words of what is to be done for one runner, and why.

Pure data. Times are Unix seconds by the API server's clock.
"""

from dataclasses import dataclass

from pynenc_operator.model import DrainRequest, WorkerPod
from pynenc_operator.reason import OVER, Reason


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
    """Delete a pod, if it still is what it was when this was decided; `grace` in seconds, None: its own."""

    pod: WorkerPod
    reason: Reason
    grace: int | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """Name dead runners on a living worker, which hands their invocations on; `runner_ids` is the whole list."""

    pod: WorkerPod
    runner_ids: tuple[str, ...]
    reason: Reason = Reason.WORKER_DIED


@dataclass(frozen=True, slots=True)
class Mark:
    """Write on a dead pod who has recovered its invocations: nobody has to do it again."""

    pod: WorkerPod
    by: str
    reason: Reason = Reason.RECOVERED


type Step = CancelDrain | Drain | Delete | Name | Mark


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
    `unrecovered` are dead runners whose invocations still wait for a living worker. `not_consumed`: idle
    workers leave queued work alone.
    """

    desired: int
    reason: Reason
    create: Create | None = None
    cancels: tuple[CancelDrain, ...] = ()
    drains: tuple[Drain, ...] = ()
    deletes: tuple[Delete, ...] = ()
    recovery: tuple[Name | Mark, ...] = ()
    limited: Reason | None = None
    recount: bool = False
    unrecovered: tuple[str, ...] = ()
    not_consumed: bool = False

    @property
    def acts(self) -> bool:
        """Whether carrying it out writes anything."""
        return bool(self.create or self.cancels or self.drains or self.deletes or self.recovery)

    @property
    def scales(self) -> bool:
        """Whether it changes how many pods serve; to clear away those whose life is over does not."""
        return bool(self.create or self.cancels or self.drains or any(step.reason not in OVER for step in self.deletes))
