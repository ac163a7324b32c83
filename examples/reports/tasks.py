"""A small pynenc app: two tasks that take as long as they are told to.

Nothing of Kubernetes, of the operator or of a broker stands here. In a worker pod the operator sets
the app's id, its backend and its threads by environment variables; a producer sets the same ones
(`PYNENC__APP_ID`, `PYNENC__REDIS_URL`, ...) and calls `short(1.0, "first")`.

Each execution leaves one line beside the app's queue, so that one can count what really ran: in a Redis
list, or in a table of its SQLite file. Your own tasks need no such thing.
"""

import json
import os
import socket
import sqlite3
import time
from contextlib import closing

from pynenc import Pynenc
from redis import Redis

EXECUTIONS = "demo:executions"
SQLITE = os.environ.get("PYNENC__SQLITE_DB_PATH", "")  # the file of an app that is on SQLite

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
    note(json.dumps(execution))
    time.sleep(seconds)
    return name


def note(line: str) -> None:
    """Keep a line beside the app's queue."""
    if not SQLITE:
        records.rpush(EXECUTIONS, line)
        return
    with closing(table()) as connection, connection:
        connection.execute("INSERT INTO executions VALUES (?)", (line,))


def noted(after: int) -> list[str | bytes]:
    """The lines that were kept, in this order, without the first `after`."""
    if not SQLITE:
        return list(records.lrange(EXECUTIONS, after, -1))
    with closing(table()) as connection:
        found = connection.execute("SELECT line FROM executions ORDER BY rowid LIMIT -1 OFFSET ?", (after,))
        return [line for (line,) in found]


def table() -> sqlite3.Connection:
    """A connection to the SQLite file, in which there is a table `executions`."""
    connection = sqlite3.connect(SQLITE, timeout=30)  # seconds, for which another one may be writing
    connection.execute("CREATE TABLE IF NOT EXISTS executions (line TEXT)")
    return connection
