"""What an app's workers run at the moment, and a way to cancel it. It runs inside a worker pod, whose settings it uses.

    kubectl exec -i reports-0 -- python - running < examples/by_hand.py
    kubectl exec -i reports-0 -- python - cancel ID ... < examples/by_hand.py

`running` prints a line for each invocation in a worker's hands: the worker's id, which is its pod's uid; the status;
since when; the invocation's id; its task. `cancel` makes invocations FAILED, wherever they stand: who waits for them is
told so. What waits in the queue is dropped by the worker that takes it. What runs is not stopped, but its result is
thrown away. For Redis alone.
"""

import os
import sys

from pynenc import Pynenc
from pynenc.exceptions import InvocationStatusError
from pynenc.invocation.status import InvocationStatus
from pynenc.runner.runner_context import RunnerContext
from pynenc.util.import_app import find_app_instance

from pynenc_worker import backend, invocations, redis_backend
from pynenc_worker.config import WorkerConfig

IN_HANDS = (InvocationStatus.RUNNING, InvocationStatus.PENDING)
FROM_ITS_RUNNER = {
    InvocationStatus.PENDING: InvocationStatus.PENDING_RECOVERY,
    InvocationStatus.RUNNING: InvocationStatus.RUNNING_RECOVERY,
}


def load() -> Pynenc:
    """The app, with the backend of this pod."""
    config = WorkerConfig.from_environ(os.environ)
    os.environ.setdefault("PYNENC__LOGGING_LEVEL", "warning")
    backend.derive_environment(backend.chosen(config), backend.read_url(config), os.environ)
    app = find_app_instance(config.app)
    backend.create_components(app)
    redis_backend.install(app, app.broker)
    return app


def running(app: Pynenc) -> None:
    """Print what is in a worker's hands."""
    for one in redis_backend.RedisIndex(app).with_status(IN_HANDS):
        record = app.orchestrator.get_invocation_status_record(one)
        task = app.state_backend.get_invocation(one).task.task_id
        print(record.runner_id, record.status.value, record.timestamp.isoformat(timespec="seconds"), one, task)


def cancel(app: Pynenc, *ids: str) -> None:
    """Make invocations FAILED: taken from their runner, if they have one, then ended. None goes back to the queue."""
    by_hand = RunnerContext("ByHand", "cancelled-by-hand")
    for one in ids:
        try:
            if taken := FROM_ITS_RUNNER.get(app.orchestrator.get_invocation_status(one)):
                app.orchestrator.set_invocation_status(one, taken, by_hand)
            invocations.fail(app, by_hand, one, RuntimeError("cancelled by hand"))
            print(one, app.orchestrator.get_invocation_status(one).value)
        except (InvocationStatusError, KeyError) as error:
            print(one, f"not cancelled, it has moved on: {type(error).__name__}: {error}; look at it again")


if __name__ == "__main__":
    {"running": running, "cancel": cancel}[sys.argv[1]](load(), *sys.argv[2:])
