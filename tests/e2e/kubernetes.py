"""kubectl and helm on the cluster that this runs in, reading from its API server, and waiting for what they show."""

import base64
import functools
import json
import os
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

type Json = dict[str, Any]

# Seconds: tests say what comes of something, not how fast, and a busy machine starts a pod in a minute.
PATIENCE = 240


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


def is_true(found: Json, condition: str) -> bool:
    """Whether an object says of itself that a condition holds."""
    conditions = found.get("status", {}).get("conditions", ())
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)


def read(path: str) -> Json:
    """GET an object or a list as the administrator: for what is asked often, where a kubectl would be dear."""
    server, context = _administrator()
    try:
        with urllib.request.urlopen(server + path, timeout=30, context=context) as answer:
            found: Json = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(f"GET {path}: {error.code} {error.read().decode()}") from error


@functools.cache
def _administrator() -> tuple[str, ssl.SSLContext]:
    config = json.loads(Path(os.environ["KUBECONFIG"]).read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority, certificate, key = (
        base64.b64decode(entry)
        for entry in (cluster["certificate-authority-data"], user["client-certificate-data"], user["client-key-data"])
    )
    context = ssl.create_default_context(cadata=authority.decode())
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)
    return cluster["server"], context


def told(*command: str) -> str:
    """What a command says, also if it fails: for a diagnosis."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return f"$ {' '.join(command)}\n{done.stdout}{done.stderr}"


def wait_until[T](condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Wait for a condition to be true; what it answered then."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)
    return answer
