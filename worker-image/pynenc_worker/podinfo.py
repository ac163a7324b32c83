"""What the operator asks of this worker, read from the downward API volume of the pod's annotations.

The kubelet writes a new folder for each change and moves the symlink ``..data`` to it, so one readlink
tells whether there is something to read.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

from pynenc_worker import contract


@dataclass(frozen=True, slots=True)
class Requests:
    """The annotations that the operator writes for the worker."""

    drain_id: str = ""
    recover: tuple[str, ...] = ()


def parse(text: str) -> Requests:
    """Read the kubelet's ``key="value"`` lines, quoted as Go quotes; lines of other keys are skipped unread."""
    values = {contract.DRAIN_REQUEST: "", contract.RECOVER_RUNNERS: ""}
    for line in text.splitlines():
        key, _, quoted = line.partition("=")
        if key in values:
            value = ast.literal_eval(quoted)  # Go's escapes are also Python's
            values[key] = value if isinstance(value, str) else ""
    return Requests(values[contract.DRAIN_REQUEST], tuple(values[contract.RECOVER_RUNNERS].split()))


class PodInfo:
    """The volume mounted at `directory`."""

    def __init__(self, directory: Path) -> None:
        self._data = directory / "..data"
        self._file = directory / "annotations"
        self._seen: str | None = None

    def poll(self) -> Requests | None:
        """The requests, when they may have changed since the last call.

        :raises OSError: the volume is not there, or the kubelet is about to change it: ask again
        :raises ValueError: a value can't be read
        """
        version = str(self._data.readlink())
        if version == self._seen:
            return None
        try:
            requests = parse(self._file.read_text(encoding="utf-8"))
        except SyntaxError as error:
            raise ValueError(f"{self._file}: {error.msg}") from error
        self._seen = version
        return requests
