"""One at a time, across processes."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.console import ClusterError, say


@contextmanager
def exclusive(path: Path, purpose: str, *, timeout: float) -> Iterator[None]:
    """Hold the lock file `path`; waits at most `timeout` seconds for another process to finish `purpose`.

    The kernel lets go of it when its holder ends, however it ends, so a stale file is no obstacle.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        deadline = time.monotonic() + timeout
        waiting = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ClusterError(
                        f"{path} is still held by another process after {timeout:.0f} s: "
                        f"wait for its {purpose} to end (`fuser {path}` names it) and try again"
                    ) from None
                if not waiting:
                    say(f"waiting for another process to finish: {purpose}")
                    waiting = True
                time.sleep(0.2)
        yield
