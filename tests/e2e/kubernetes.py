"""kubectl and helm on the cluster that this runs in, and waiting for what they show."""

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

type Json = dict[str, Any]


def run(*command: str, input: str | None = None, timeout: float = 120) -> str:  # noqa: A002
    """What a command prints; AssertionError with what it says if it fails."""
    done = subprocess.run(command, input=input, capture_output=True, text=True, check=False, timeout=timeout)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr or done.stdout}"
    return done.stdout


def kubectl(*arguments: str, input: str | None = None) -> str:  # noqa: A002
    return run("kubectl", *arguments, input=input)


def apply(manifest: Json, namespace: str = "default") -> None:
    kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(manifest))


def get(*arguments: str) -> Json:
    found: Json = json.loads(kubectl("get", *arguments, "-o", "json"))
    return found


def told(*command: str) -> str:
    """What a command says, also if it fails: for a diagnosis."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return f"$ {' '.join(command)}\n{done.stdout}{done.stderr}"


def wait_until[T](condition: Callable[[], T], what: str, seconds: float = 120) -> T:
    """Wait for a condition to be true; what it answered then."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)
    return answer
