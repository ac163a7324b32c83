"""What the worker knows of pynenc's SQLite file beyond pynenc's interfaces.

The two lines of pynenc keep the queue in a table of one name and another shape: 0.4's has a column for the queue's
name. Neither can use a file of the other.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from pynenc.util.sqlite_utils import TableNames

from pynenc_worker import lines
from pynenc_worker.config import ConfigError
from pynenc_worker.index import InvocationIndex

_BUSY_SECONDS: Final = 30.0
_FORGET_SECONDS: Final = 5.0  # the same, where a worker that leaves has its last report to make


def queue_table(app_id: str) -> str:
    """The table of an app's queue."""
    return f"{TableNames(app_id, 'broker').table_prefix}_message_queue"


def refuse_other_lines_file(path: str, app_id: str) -> None:
    """Stop on a file that the other line of pynenc has made; one that is not there yet will be made by this one.

    :raises ConfigError: says which line has made it
    """
    if not Path(path).is_file():
        return
    with closing(_connect(path)) as connection:
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({queue_table(app_id)})")}
    if columns and ("queue_name" in columns) is not lines.HAS_QUEUES:
        made, here = ("0.3", "0.4") if lines.HAS_QUEUES else ("0.4", "0.3")
        raise ConfigError(
            f"the SQLite file was made by pynenc {made}, and this image has {here}, which can't use it: name another "
            "file in spec.backend.sqlite.path and in the producers, or use one pynenc for all"
        )


class SqliteIndex(InvocationIndex):
    """The queue's own table, of which pynenc tells only how many there are; and the runners' heartbeats."""

    def queued(self) -> set[str] | None:
        """Everything that stands in the app's queues, also in those that others serve."""
        broker = self._app.broker
        with closing(_connect(broker.sqlite_db_path)) as connection:
            return {str(row[0]) for row in connection.execute(f"SELECT invocation_id FROM {broker.tables.QUEUE}")}  # noqa: S608 - pynenc's name

    def silent_runners(self, seconds: float) -> list[str]:
        """Runners whose last heartbeat is older than that."""
        orchestrator = self._app.orchestrator
        silent = f"SELECT runner_id FROM {orchestrator.tables.RUNNER_HEARTBEATS} WHERE last_heartbeat < ?"  # noqa: S608 - pynenc's name
        with closing(_connect(orchestrator.sqlite_db_path)) as connection:
            return [str(row[0]) for row in connection.execute(silent, (time.time() - seconds,))]

    def forget_runner(self, runner_id: str) -> None:
        """Remove a heartbeat: pynenc never does, and one that stands still tells the operator of a death."""
        orchestrator = self._app.orchestrator
        forget = f"DELETE FROM {orchestrator.tables.RUNNER_HEARTBEATS} WHERE runner_id = ?"  # noqa: S608 - pynenc's name
        with closing(sqlite3.connect(orchestrator.sqlite_db_path, timeout=_FORGET_SECONDS)) as connection, connection:
            connection.execute(forget, (runner_id,))


def _connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
