"""Running a command that takes minutes: with progress, a deadline, and an end when we are interrupted."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.console import ClusterError, Progress

_POLL = 0.2


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    output: list[str]
    errors: list[str]


def run(
    line: list[str],
    progress: Progress,
    how_far: Callable[[list[str]], str],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> Finished:
    """Run `line`, and meanwhile show what `how_far` makes of the lines that it has written so far.

    After `timeout` seconds, or when we are interrupted, it is ended together with what it has started.
    """
    with tempfile.NamedTemporaryFile("w+b") as output, tempfile.NamedTemporaryFile("w+b") as errors:
        written = (Path(output.name), Path(errors.name))
        if shutil.which(line[0]) is None:
            raise ClusterError(f"there is no `{line[0]}` on PATH: `make machine` gets what the cluster needs")
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *line],  # it ends with us, even if we are killed
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + timeout
            while process.poll() is None:
                if time.monotonic() > deadline:
                    raise ClusterError(f"{progress.title}: `{line[0]}` did not end in {timeout:.0f} s, so it was ended")
                progress.tick(lambda: how_far([line for file in written for line in _lines(file)]))
                time.sleep(_POLL)
        finally:
            _end(process)
        return Finished(process.returncode, *(_lines(file) for file in written))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command's whole session if it still runs: asked first, so that it can tidy up."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            continue


def _lines(file: Path) -> list[str]:
    return file.read_text(errors="replace").splitlines()
