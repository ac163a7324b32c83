"""A producer in a process of its own, since it may need another pynenc than the tests' environment has.

Run as a script by the line's interpreter, it answers one JSON request per line of its standard input.
"""

import importlib
import json
import sys
from typing import Any

import jobs  # type: ignore[import-not-found] # a test's own folder is on the path
from pynenc import Pynenc

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


def registered(app: Pynenc) -> int:
    """How many invocations there ever were."""
    return int(app.orchestrator.count_invocations())


def pop(app: Pynenc) -> str | None:
    """Take an id out of the queue and forget it, as a worker does that is killed in this moment."""
    taken = app.broker.retrieve_invocation()
    return None if taken is None else str(taken)


def main() -> None:
    """Serve until the input ends."""
    operations = {function.__name__: function for function in (call, status, result, queued, registered, pop)}
    for line in sys.stdin:
        request = json.loads(line)
        answer = operations[request.pop("operation")](jobs.app, **request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
