"""A producer in a process of its own, since it may need another pynenc than the tests' environment has.

Run as a script by the line's interpreter, it answers one JSON request per line of its standard input.
"""

import importlib
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import jobs  # type: ignore[import-not-found] # a test's own folder is on the path
from pynenc import Pynenc
from pynenc.invocation.status import InvocationStatus
from pynenc.runner.runner_context import RunnerContext

KEPT: dict[str, Any] = {}


def call(app: Pynenc, module: str, task: str, args: dict[str, Any]) -> str:
    """Enqueue an invocation; its id."""
    del app
    invocation = getattr(importlib.import_module(module), task)(**args)
    KEPT[invocation.invocation_id] = invocation
    return str(invocation.invocation_id)


def status(app: Pynenc, invocation_id: str) -> str:
    """Where an invocation stands."""
    return str(app.orchestrator.get_invocation_status(invocation_id).value)


def result(app: Pynenc, invocation_id: str) -> str:
    """The result, or the class and text of what was raised, of an invocation that has ended."""
    del app
    try:
        return str(KEPT[invocation_id].get_final_result())
    except Exception as error:  # noqa: BLE001 - the answer
        return f"{type(error).__name__}: {error}"


def queued(app: Pynenc) -> int:
    """How many ids the queue holds."""
    return int(app.broker.count_invocations())


def queued_in(app: Pynenc, queues: list[str]) -> int:
    """How many ids these queues hold, as pynenc 0.4 counts them."""
    return int(app.broker.count_invocations(queues))


def route(app: Pynenc, ids: list[str], queue: str, priority: float) -> None:
    """Put ids into a queue of pynenc 0.4 that stand for nothing."""
    app.broker.route_invocations(ids, queue, priority)


def take_all(app: Pynenc, queue: str) -> list[str]:
    """Take all out of a queue of pynenc 0.4, in its order."""
    return [str(one) for one in iter(lambda: app.broker.retrieve_invocation(queue), None)]


def registered(app: Pynenc) -> int:
    """How many invocations there ever were."""
    return int(app.orchestrator.count_invocations())


def pop(app: Pynenc) -> str | None:
    """Take an id out of the queue and forget it, as a worker does that is killed in this moment."""
    taken = app.broker.retrieve_invocation()
    return None if taken is None else str(taken)


def claim(app: Pynenc, runner_id: str) -> str:
    """Take an id out of the queue and to PENDING, as a living runner."""
    runner = RunnerContext("ThreadRunner", runner_id)
    app.orchestrator.register_runner_heartbeats([runner_id], can_run_atomic_service=True)
    invocation_id = app.broker.retrieve_invocation()
    app.orchestrator.set_invocation_status(invocation_id, InvocationStatus.PENDING, runner)
    return str(invocation_id)


def by_status(app: Pynenc) -> dict[str, int]:
    """How many invocations are in each status that this line of pynenc has."""
    return {status.value: app.orchestrator.count_invocations(statuses=[status]) for status in InvocationStatus}


def heartbeats(app: Pynenc) -> dict[str, float]:
    """When each runner that pynenc calls active has last said that it lives."""
    return {str(one.runner_id): one.last_heartbeat.timestamp() for one in app.orchestrator.get_active_runners()}


def beat(app: Pynenc, runner_id: str, ago: float = 0.0) -> None:
    """Have a runner's last heartbeat be so many seconds old."""
    module = sys.modules[type(app.orchestrator).__module__]
    with mock.patch.object(module, "time", return_value=time.time() - ago):  # each plugin notes its own time
        app.orchestrator.register_runner_heartbeats([runner_id], can_run_atomic_service=True)


def die_with_all(app: Pynenc) -> int:
    """Take all that is queued as a runner whose last heartbeat is long ago, and run none of it."""
    runner = RunnerContext("ThreadRunner", "dead-runner")
    beat(app, runner.runner_id, 3600)
    taken = 0
    while app.broker.count_invocations():
        invocation_id = app.broker.retrieve_invocation()
        for status in (InvocationStatus.PENDING, InvocationStatus.RUNNING):
            app.orchestrator.set_invocation_status(invocation_id, status, runner)
        taken += 1
    return taken


def slot_holder(app: Pynenc) -> str | None:
    """The runner that is in its atomic slot, if one is."""
    active = app.orchestrator.get_active_atomic_service_executions()
    return str(active[0].runner_id) if active else None


def slots_completed(app: Pynenc, within: float = 3600.0) -> list[str]:
    """The runners that have begun and completed a run of the atomic service in the last seconds."""
    now = datetime.now(UTC)
    since = now - timedelta(seconds=within)
    executions = app.orchestrator.get_atomic_service_executions_in_timerange(since, now)
    return [str(one.runner_id) for one in executions if one.status.value == "completed" and one.start_time >= since]


def main() -> None:
    """Serve until the input ends."""
    functions = (
        *(call, status, result, queued, queued_in, route, take_all, registered),
        *(by_status, heartbeats, beat, pop, claim, die_with_all, slot_holder, slots_completed),
    )
    operations = {function.__name__: function for function in functions}
    for line in sys.stdin:
        request = json.loads(line)
        answer = operations[request.pop("operation")](jobs.app, **request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
