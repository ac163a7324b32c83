"""A producer: calls the tasks of `reports.tasks`, then follows them until all have come to an end.

    python -m reports.enqueue --short 36 --long 4

It needs the app's id and backend in its environment, the same as the runner has (see producer.yaml).
What it sees it prints as JSON, one object a line:

    {"enqueued": ["short-01", ...], "begun": 1764.0, "ended": 1764.2}   once, when all tasks are called
    {"execution": {"name": "short-01", "pod": ..., "started": 1764.9}}  for each time that a task began
    {"final": "short-01", "status": "success", "at": 1765.9}            for each task that came to an end
    {"at": 1765.0, "queued": 30}                                        twice a second; queued is null if unknown

Times are Unix seconds. A line with `at` and `queued` comes after all that was seen until then. With `--stay` it
goes on until somebody ends it.
"""

import argparse
import json
import signal
import sqlite3
import sys
import time
from typing import Any

from redis.exceptions import RedisError

from .tasks import app, long, noted, short

INTERVAL = 0.5  # seconds between two looks


def main() -> None:
    """Call the tasks, then follow them."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # process 1 of a container ignores it otherwise
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", type=int, default=36, help="tasks of a second")
    parser.add_argument("--long", type=int, default=4, help="tasks of --seconds")
    parser.add_argument("--seconds", type=float, default=40.0, help="how long a long task takes")
    parser.add_argument("--stay", action="store_true", help="go on when all tasks have ended")
    arguments = parser.parse_args()
    follow(enqueue(arguments.short, arguments.long, arguments.seconds), stay=arguments.stay)


def say(**what: object) -> None:
    """Print one line at once."""
    print(json.dumps(what), flush=True)


def enqueue(shorts: int, longs: int, seconds: float) -> dict[str, Any]:
    """Call the tasks, the long ones spread among the short ones; return the invocations by name."""
    app.broker.count_invocations()  # connects, so that `begun` is when the first task is enqueued
    every = max(1, (shorts + longs) // max(1, longs))
    invocations: dict[str, Any] = {}
    begun = time.time()
    for number in range(shorts + longs):
        so_far = sum(name.startswith("long-") for name in invocations)
        if so_far < longs and (number % every == every - 1 or number - so_far >= shorts):
            name = f"long-{so_far + 1:02}"
            invocations[name] = long(seconds, name)
        else:
            name = f"short-{number - so_far + 1:02}"
            invocations[name] = short(1.0, name)
    say(enqueued=list(invocations), begun=begun, ended=time.time())
    return invocations


def follow(invocations: dict[str, Any], *, stay: bool = False) -> None:
    """Say what becomes of the tasks, until the last has ended, or until we are ended."""
    waiting = dict(invocations)
    executions = 0
    while waiting or stay:
        queued = None
        try:
            for line in noted(executions):
                executions += 1
                say(execution=json.loads(line))
            for name, invocation in list(waiting.items()):
                record = app.orchestrator.get_invocation_status_record(invocation.invocation_id)
                if record.status.is_final():
                    del waiting[name]
                    say(final=name, status=record.status.value, at=record.timestamp.timestamp())
            queued = app.broker.count_invocations()
        except (RedisError, sqlite3.Error) as error:  # it may come back: unknown until then
            print(f"the backend does not answer: {type(error).__name__}", file=sys.stderr, flush=True)
        say(at=time.time(), queued=queued)
        time.sleep(INTERVAL)


if __name__ == "__main__":
    main()
