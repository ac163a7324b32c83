"""Short ways to say what is seen of a pool, for tests of the pure modules."""

from typing import Any

from pynenc_operator.model import Observation, QueueDepth, WorkerPod, WorkerStatus
from pynenc_worker.contract import WorkerState

NOW = 1_000_000.0


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def pod(name: str, **fields: Any) -> WorkerPod:
    """A pod that has been created 100 s ago and whose container has not started."""
    values: dict[str, Any] = {
        "uid": f"uid-{name}",
        "resource_version": "1",
        "created": NOW - 100,
        "template_hash": "t1",
    }
    return WorkerPod(name=name, **{**values, **fields})


def starting(name: str, **fields: Any) -> WorkerPod:
    return pod(name, container_started=True, **fields)


def reporting(name: str, state: WorkerState, *, for_seconds: float = 0, threads: int = 0, **fields: Any) -> WorkerPod:
    status = WorkerStatus(last_update=NOW - for_seconds, active_count=threads, state=state)
    return pod(name, container_started=True, status=status, **fields)


def idle(name: str, for_seconds: float = 0, **fields: Any) -> WorkerPod:
    return reporting(name, WorkerState.IDLE, for_seconds=for_seconds, **fields)


def active(name: str, threads: int = 1, **fields: Any) -> WorkerPod:
    return reporting(name, WorkerState.ACTIVE, threads=threads, **fields)


def seen(*pods: WorkerPod, depth: int | None = 0, peak: int | None = None, **fields: Any) -> Observation:
    """What is seen of these pods with so many queued invocations; `recount` is the second count."""
    recount = fields.pop("recount", None)
    queue = None if depth is None else QueueDepth(depth, depth if peak is None else peak, recount)
    return Observation(pods=pods, depth=queue, template=fields.pop("template", "t1"), **fields)
