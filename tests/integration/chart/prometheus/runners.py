"""Runners as the reconciler tells the operator's table of them: pods in all states, an unreachable broker, a pause."""

from collections.abc import Iterator
from typing import Any, Final

from pynenc_operator import conditions
from pynenc_operator.actuator import Outcome
from pynenc_operator.conditions import Facts, Problem, Report
from pynenc_operator.decision import CancelDrain, Create, Decision, Delete, Drain, Step
from pynenc_operator.kube import Forbidden
from pynenc_operator.model import (
    DrainCause,
    DrainRequest,
    Key,
    Observation,
    QueueDepth,
    Trouble,
    WorkerPod,
    WorkerStatus,
)
from pynenc_operator.pool import classify
from pynenc_operator.questions import STATUSES
from pynenc_operator.reason import Reason
from pynenc_operator.runnerrecord import Look
from pynenc_operator.runnerspec import Mode, RunnerSpec
from pynenc_operator.runnertable import RunnerTable
from pynenc_worker.contract import WorkerState

REPORTS: Final = Key("shop", "reports")
MAIL: Final = Key("shop", "mail")
TRAINING: Final = Key("lab", "training")
DRAIN_TIMEOUT: Final = 60
TEMPLATE: Final = "t1"


def _pod(name: str, now: float, **fields: Any) -> WorkerPod:
    values: dict[str, Any] = {"uid": name, "resource_version": "1", "created": now - 3, "template_hash": TEMPLATE}
    return WorkerPod(name=name, **{**values, **fields})


def _worker(name: str, now: float, state: WorkerState, **fields: Any) -> WorkerPod:
    values: dict[str, Any] = {"container_started": True, "started_at": now - 2, "ready": True}
    return _pod(name, now, status=WorkerStatus(now, 1, state), **{**values, **fields})


def _asked(name: str, now: float, state: WorkerState, ago: float) -> WorkerPod:
    """A worker that was asked to leave so long ago, a minute after its creation."""
    request = DrainRequest(DrainCause.IDLE, now - ago)
    return _worker(name, now, state, drain_request=request.id, created=request.asked - 60)


def _pool(number: int, now: float) -> Iterator[WorkerPod]:
    """The pods of the `number`th look. Each look a new one starts, one reports, some leave and some fail."""
    yield _pod("pending", now)
    yield _pod(f"new-{number}", now, container_started=True)
    yield _worker(f"new-{number - 1}", now, WorkerState.IDLE, recovered=(f"dead-{number}",))
    yield _worker("active", now, WorkerState.ACTIVE)
    yield _asked(f"draining-{number}", now, WorkerState.DRAINING, 5)
    yield _asked(f"drained-{number}", now, WorkerState.DRAINED, 20)
    yield _asked(f"slow-{number}", now, WorkerState.DRAINED, DRAIN_TIMEOUT)
    yield _asked("silent", now, WorkerState.ACTIVE, 600)
    yield _worker("terminating", now, WorkerState.ACTIVE, terminating=True)
    for reason in ("ImagePullBackOff", "CreateContainerConfigError"):
        yield _pod(f"{reason}-{number}", now, trouble=Trouble(reason, "the platform's own words"))
    for reason in ("OOMKilled", "Error"):
        yield _pod(f"{reason}-{number}", now, ended=True, ended_at=now, trouble=Trouble(reason, "it ended"))


def _steps(number: int, now: float) -> list[Step]:
    before = {pod.name: pod for pod in _pool(number - 1, now)}
    idle, drained = before[f"new-{number - 2}"], before[f"drained-{number - 1}"]
    return [
        CancelDrain(idle, Reason.NOT_IDLE),
        Drain(idle, DrainRequest(DrainCause.IDLE, now), Reason.IDLE_TIMEOUT),
        Delete(drained, Reason.DRAINED),
        Delete(before["pending"], Reason.NOT_NEEDED),
    ]


def _look(
    key: Key,
    spec: RunnerSpec,
    decision: Decision,
    now: float,
    *,
    pods: tuple[WorkerPod, ...] = (),
    depth: int | None = 0,
    broker: Problem | None = None,
) -> Look:
    counted = None if depth is None else QueueDepth(depth, depth)
    report = Report(
        key=key,
        generation=1,
        spec=spec,
        pool=classify(spec, Observation(pods, counted, TEMPLATE), now),
        decision=decision,
        depth=counted,
        facts=Facts(broker=broker, template_valid=True),
    )
    invocations = None if depth is None else dict.fromkeys(STATUSES, 0) | {"registered": depth, "running": len(pods)}
    oldest = 4.5 if depth else None
    return Look(report, conditions.compute((), report, now), pods, oldest, invocations)


def _resource(key: Key, backend: str) -> dict[str, Any]:
    app = {"app": f"{key.name}.tasks", "appId": key.name, "drainTimeoutSeconds": DRAIN_TIMEOUT}
    return {"spec": {**app, "backend": {backend: {}}}}


def look_at_all(table: RunnerTable, number: int, now: float) -> None:
    """Tell the table of the `number`th look at each runner."""
    spec = RunnerSpec(min_replicas=1, max_threads=2, drain_timeout_seconds=DRAIN_TIMEOUT)
    limited = Reason.MAX_REPLICAS if number % 2 else None
    up = Decision(6, Reason.QUEUE_DEPTH, create=Create(1, Reason.QUEUE_DEPTH), limited=limited)
    name = f"new-{number}"
    table.begins(REPORTS, _resource(REPORTS, "redis"), now - 0.1)
    made = [{"metadata": {"name": name, "uid": name}}]
    table.acted(REPORTS, up, Outcome(pods=made, created=[name], done=_steps(number, now)), now)
    refusal = Forbidden("exceeded quota: small", verb="create", resource="pods")
    table.acted(REPORTS, up, Outcome(refusal=refusal), now)
    table.looked(REPORTS, _look(REPORTS, spec, up, now, pods=tuple(_pool(number, now)), depth=7 + number % 5), now)

    unreachable = Problem("Unreachable", "redis does not answer")
    table.begins(MAIL, _resource(MAIL, "redis"), now)
    steady = Decision(0, Reason.BROKER_UNREACHABLE)
    # Once it was counted, or there were no time of the last count.
    down = _look(MAIL, RunnerSpec(), steady, now, depth=None, broker=unreachable) if number else None
    table.looked(MAIL, down or _look(MAIL, RunnerSpec(), steady, now), now)

    table.begins(TRAINING, _resource(TRAINING, "sqlite"), now)
    paused = RunnerSpec(mode=Mode.PAUSED)
    table.looked(TRAINING, _look(TRAINING, paused, Decision(0, Reason.PAUSED), now, depth=2), now)
