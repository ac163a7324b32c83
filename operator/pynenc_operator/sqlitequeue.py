"""An app's queue in a SQLite file, counted without pynenc, and without a change to the file.

The two lines of pynenc keep the queue in a table of one name: 0.4's has a column for the queue's name. pynenc's own
broker can read the files of its own line alone, and makes its table where there is none.
"""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pynenc_operator.backends import BrokerError, BrokerErrorKind

_BUSY_SECONDS: Final = 1.0  # a thread that nobody waits for any more should end
_SINGLE_QUEUE: Final = (
    "spec.queues needs pynenc 0.4, and its SQLite file was made by 0.3, whose single queue has no name: leave queues "
    "out, or name another file, which pynenc 0.4 will make"
)


@dataclass(frozen=True, slots=True)
class SqliteQueue:
    """One app's queue. `table` is pynenc's for it."""

    path: Path
    table: str

    def count_invocations(self, queue_names: Sequence[str] = ()) -> int:
        """How many invocations wait in these queues, or in all; none where nothing was ever enqueued."""
        _refuse_strange_file(self.path)
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as connection:
            found = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (self.table,))
            made = found.fetchone()
            if made is None:
                return 0
            if queue_names and not re.search(r"\bqueue_name\b", made[0]):
                raise BrokerError(BrokerErrorKind.UNSUPPORTED, _SINGLE_QUEUE)
            named = f" WHERE queue_name IN ({', '.join('?' * len(queue_names))})" if queue_names else ""
            count = connection.execute(f'SELECT COUNT(*) FROM "{self.table}"{named}', tuple(queue_names))  # noqa: S608 - pynenc's name
            return int(count.fetchone()[0])


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
