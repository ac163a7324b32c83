"""What an app keeps in a SQLite file, read without pynenc, and without a change to the file.

The two lines of pynenc keep the queue in a table of one name: 0.4's has a column for the queue's name. pynenc's own
broker can read the files of its own line alone, and makes its table where there is none. What is read of the
orchestrator's tables is the same in both, and indexed: by status, and by runner.
"""

import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pynenc_operator.backends import BrokerError, BrokerErrorKind

_BUSY_SECONDS: Final = 1.0  # a thread that nobody waits for any more should end
# The same, of what takes long: ended invocations are counted one by one. Shorter than an answer may take: a file that
# has grown so large is no server that does not answer, and its queue is counted still.
_READ_SECONDS: Final = 1.5
_STEPS: Final = 100_000  # of SQLite, some ms, between two looks at the time
_SINGLE_QUEUE: Final = (
    "spec.queues needs pynenc 0.4, and its SQLite file was made by 0.3, whose single queue has no name: leave queues "
    "out, or name another file, which pynenc 0.4 will make"
)


@dataclass(frozen=True, slots=True)
class SqliteApp:
    """One app in one file; its tables have pynenc's names for it."""

    path: Path
    queue: str
    invocations: str
    heartbeats: str

    def count_invocations(self, queue_names: Sequence[str] = ()) -> int:
        """How many invocations wait in these queues, or in all; none where nothing was ever enqueued."""
        with self._reading(self.queue) as (connection, made):
            if queue_names and made and not re.search(r"\bqueue_name\b", made):
                raise BrokerError(BrokerErrorKind.UNSUPPORTED, _SINGLE_QUEUE)
            where = f"WHERE queue_name IN ({_marks(queue_names)})" if queue_names else ""
            count = f'SELECT COUNT(*) FROM "{self.queue}" {where}'  # noqa: S608 - pynenc's name
            return int(connection.execute(count, tuple(queue_names)).fetchone()[0]) if made else 0

    def count_statuses(self, statuses: Sequence[str]) -> dict[str, int]:
        """How many invocations are in each of these statuses."""
        counts = dict.fromkeys(statuses, 0)
        with self._reading(self.invocations) as (connection, made):
            count = (
                f'SELECT status, COUNT(*) FROM "{self.invocations}" '  # noqa: S608 - pynenc's name
                f"WHERE status IN ({_marks(statuses)}) GROUP BY status"
            )
            return counts | dict(connection.execute(count, tuple(statuses)) if made else ())

    def last_heartbeats(self, runner_ids: Sequence[str], most: int) -> list[tuple[str, float]]:
        """The last heartbeats of these runners, or of all, of so many at `most`: the latest."""
        with self._reading(self.heartbeats) as (connection, made):
            where = f"WHERE runner_id IN ({_marks(runner_ids)})" if runner_ids else ""
            read = (
                f'SELECT runner_id, last_heartbeat FROM "{self.heartbeats}" {where} '  # noqa: S608 - pynenc's name
                "ORDER BY last_heartbeat DESC LIMIT ?"
            )
            found = connection.execute(read, (*runner_ids, most)) if made else ()
            return [(str(runner_id), float(last)) for runner_id, last in found]

    @contextmanager
    def _reading(self, table: str) -> Iterator[tuple[sqlite3.Connection, str | None]]:
        """A connection that only reads, and the statement that has made a table; None where there is none."""
        _refuse_strange_file(self.path)
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as connection:
            deadline = time.monotonic() + _READ_SECONDS
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            known = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
            made: Any = connection.execute(known, (table,)).fetchone()
            yield connection, made[0] if made else None


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _refuse_strange_file(path: Path) -> None:
    """Only a file that is there, and where it says: a link could lead elsewhere."""
    if not path.is_file():
        raise BrokerError(
            BrokerErrorKind.UNREACHABLE,
            "no such file: mount the volume of spec.backend.sqlite in the operator too; the app makes the file "
            "when it first enqueues",
        )
    if path.resolve() != path:
        raise BrokerError(BrokerErrorKind.REFUSED, "the path of the SQLite file leads through a link")
