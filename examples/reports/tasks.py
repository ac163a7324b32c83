"""A small pynenc app: two tasks that take as long as they are told to.

Nothing of Kubernetes, of the operator or of a broker stands here. In a worker pod the operator sets
the app's id, its backend and its threads by environment variables; a producer sets the same ones
(`PYNENC__APP_ID`, `PYNENC__REDIS_URL`, ...) and calls `short(1.0, "first")`.

Each execution leaves one line in a Redis list, so that one can count what really ran. Your own tasks
need no such thing.
"""

import json
import os
import socket
import time

from pynenc import Pynenc
from redis import Redis

EXECUTIONS = "demo:executions"

app = Pynenc()
records = Redis.from_url(os.environ.get("REPORTS_REDIS_URL", "redis://redis:6379"))  # connects at its first use


@app.task
def short(seconds: float, name: str) -> str:
    """Work for a moment, as most tasks do."""
    return work("short", seconds, name)


@app.task
def long(seconds: float, name: str) -> str:
    """Work for long, as the tasks do that must not be interrupted."""
    return work("long", seconds, name)


def work(task: str, seconds: float, name: str) -> str:
    """Record that this execution has begun, then take `seconds`."""
    execution = {"task": task, "name": name, "pod": socket.gethostname(), "started": time.time()}
    records.rpush(EXECUTIONS, json.dumps(execution))
    time.sleep(seconds)
    return name
