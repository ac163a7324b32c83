# mypy: disable-error-code="untyped-decorator"
"""The app that the tests' workers run. Each execution is a line in a file, so that none can hide."""

import os
import sys
import time
from pathlib import Path

from pynenc import Pynenc
from pynenc.exceptions import RetryError

app = Pynenc()
FOLDER = Path(os.environ["JOBS_FOLDER"])


def note(what: str, name: str) -> None:
    """Append a line in one write."""
    with (FOLDER / "executions").open("a") as file:
        file.write(f"{what} {name}\n")


@app.task
def nap(name: str, seconds: float) -> str:
    """Take a known time."""
    note("start", name)
    time.sleep(seconds)
    note("end", name)
    return name


@app.task(max_retries=3)
def flaky(name: str) -> str:
    """Succeed at the second try."""
    note("start", name)
    mark = FOLDER / f"tried-{name}"
    if not mark.exists():
        mark.touch()
        raise RetryError
    note("end", name)
    return name


def hold_open(name: str) -> str:
    """Wait until the test opens the gate of this name."""
    note("start", name)
    while not (FOLDER / f"gate-{name}").exists():
        time.sleep(0.02)
    note("end", name)
    return name


@app.task
def hold(name: str) -> str:
    """Run until the test opens the gate of this name."""
    return hold_open(name)


@app.task
def ask_child(name: str) -> str:
    """Once the gate is open, wait for the result of a child that waits at a gate of its own."""
    note("start", name)
    while not (FOLDER / f"gate-{name}").exists():
        time.sleep(0.02)
    answer = hold(f"{name}-child").result
    note("end", name)
    return f"{name} got {answer}"


@app.task
def ask_then_hold(name: str) -> str:
    """Go on for a while after the child's result has come."""
    nap(f"{name}-child", 0.2).result  # noqa: B018 - reading it waits
    note("start", name)
    while not (FOLDER / f"gate-{name}").exists():
        time.sleep(0.02)
    note("end", name)
    return name


@app.task
def tell_environment(name: str) -> str:
    """What a child process of a task is given."""
    note("start", name)
    note("end", name)
    return "\n".join(f"{key}={value}" for key, value in os.environ.items())


@app.task
def leave(name: str) -> None:
    """End the thread as nobody should."""
    note("start", name)
    sys.exit(3)
