"""SQLite files of resources: only one that is there, and where it says."""

from pathlib import Path

from pynenc_operator.backends import BrokerError, BrokerErrorKind


def refuse_strange_file(path: Path) -> None:
    """Raise BrokerError for any other file: SQLite would make a new one, and follow links elsewhere."""
    if not path.is_file():
        raise BrokerError(
            BrokerErrorKind.UNREACHABLE,
            "no such file: mount the volume of spec.backend.sqlite in the operator too; the app makes the file "
            "when it first enqueues",
        )
    if path.resolve() != path:
        raise BrokerError(BrokerErrorKind.REFUSED, "the path of the SQLite file leads through a link")
