"""What the worker does to single invocations beside running them, through pynenc's API.

Nothing here needs the task's code unless it says so: an invocation whose task can't be imported must not
stop the others.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final

from pynenc import Pynenc
from pynenc.exceptions import InvocationStatusError
from pynenc.invocation.status import InvocationStatus as S
from pynenc.runner.runner_context import RunnerContext

from pynenc_worker import lines
from pynenc_worker.logs import log
from pynenc_worker.outage import Backoff, is_outage

# The statuses on the way to FAILED, which pynenc allows from RUNNING alone.
_TOWARDS_FAILED: Final = {
    S.CONCURRENCY_CONTROLLED: S.REROUTED,
    S.PENDING_RECOVERY: S.REROUTED,
    S.RUNNING_RECOVERY: S.REROUTED,
    S.KILLED: S.REROUTED,
    S.REGISTERED: S.PENDING,
    S.REROUTED: S.PENDING,
    S.RETRY: S.PENDING,
    S.PENDING: S.RUNNING,
    S.RUNNING: S.FAILED,
}
_RECOVERY: Final = {S.PENDING: S.PENDING_RECOVERY, S.RUNNING: S.RUNNING_RECOVERY}
# How long a hand-back tries to reach the broker; the pod's grace period ends 30 s after its begin.
HAND_BACK_SECONDS: Final = 12.0


def enqueue(app: Pynenc, invocation_id: str) -> None:
    """Put an invocation into its queue; pynenc 0.4 asks the task which one, and so imports it."""
    if lines.HAS_QUEUES:
        app.orchestrator.route_invocation(app.state_backend.get_invocation(invocation_id))
    else:
        app.broker.route_invocation(invocation_id)


def fail(app: Pynenc, context: RunnerContext, invocation_id: str, error: Exception) -> None:
    """End an invocation as FAILED from wherever it stands, so that whoever waits for it is told why."""
    status = app.orchestrator.get_invocation_status(invocation_id)
    if status not in _TOWARDS_FAILED:
        return
    app.state_backend.set_exception(invocation_id, error)
    while status in _TOWARDS_FAILED:
        status = _TOWARDS_FAILED[status]
        record = app.orchestrator._atomic_status_transition(invocation_id, status, context.runner_id)  # noqa: SLF001 - the public call imports the task
        app.state_backend.add_history(invocation_id, record, context)
    app.orchestrator.release_waiters(invocation_id)
    app.orchestrator.set_up_invocation_auto_purge(invocation_id)


def start_failure(error: BaseException) -> Exception:
    """Why a task can't be started, as an error of the standard library, which every producer can read."""
    text = f"the worker can't start the task: {type(error).__name__}: {error}"
    return ModuleNotFoundError(text) if isinstance(error, ImportError) else RuntimeError(text)


def hand_on(app: Pynenc, context: RunnerContext, invocation_id: str) -> bool:
    """Give an invocation whose runner is dead back to the queue; False when it is not that any more.

    :raises Exception: the backend is away; call again
    """
    try:
        status = app.orchestrator.get_invocation_status(invocation_id)
        if status not in _RECOVERY:
            return False
        app.orchestrator.set_invocation_status(invocation_id, _RECOVERY[status], context)
        app.orchestrator.reroute_invocations({invocation_id}, context)
    except (InvocationStatusError, KeyError):
        return False  # another worker was faster, or it was purged
    except Exception as error:
        if is_outage(error):
            raise
        log.error("invocation %s of a dead worker is failed: %s", invocation_id, start_failure(error))
        fail(app, context, invocation_id, start_failure(error))
    return True


def give_back(app: Pynenc, context: RunnerContext, invocation_id: str) -> bool:
    """Put an invocation that runs here back into the queue; False when it is not ours any more. May be repeated."""
    record = app.orchestrator.get_invocation_status_record(invocation_id)
    if record.status in _RECOVERY and record.runner_id == context.runner_id:
        app.orchestrator.set_invocation_status(invocation_id, S.KILLED, context)
    elif record.status is not S.KILLED:
        return False
    app.orchestrator.reroute_invocations({invocation_id}, context)
    return True


def hand_back(app: Pynenc, context: RunnerContext, ids: Iterable[str], settle: Callable[[], None]) -> int:
    """Give back everything that runs here, for as long as the pod's grace period allows; returns how many."""
    end, backoff, left, given = time.monotonic() + HAND_BACK_SECONDS, Backoff(), list(ids), 0
    while True:
        try:
            settle()
            while left:
                given += give_back(app, context, left[-1])
                left.pop()
            return given  # noqa: TRY300 - the way out of the loop
        except Exception as error:  # noqa: BLE001 - there is no later
            if time.monotonic() >= end:
                log.error("not handed back, the broker can't be reached (%s): %s", type(error).__name__, " ".join(left))
                return given
            time.sleep(backoff.pause())
