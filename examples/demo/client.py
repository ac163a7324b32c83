"""kubectl and helm on the demo's cluster, with deadlines, and errors that say what to do."""

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from tests.cluster.console import ClusterError, clock, say

type Json = dict[str, Any]

ATTEMPTS = 3
PAUSE = 1.0  # seconds before another attempt
SAY_EVERY = 10.0  # seconds between two signs that a command is being waited for
# What says that the API server was not reached or was too busy: all that the demo does may be done again.
_PASSING = re.compile(
    r"connection (refused|reset)|unable to connect|i/o timeout|handshake timeout|unexpected EOF|no route to host"
    r"|request timed out|too many requests|etcdserver|serverTimeout|ServiceUnavailable|being terminated",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Client:
    """Runs kubectl and helm. `line` turns a command into one that reaches the cluster."""

    line: Callable[[list[str]], list[str]]
    environment: Mapping[str, str] = field(repr=False)

    def kubectl(self, *arguments: str, given: str | None = None, timeout: float = 60) -> str:
        """Run kubectl and return what it prints; raises ClusterError with what it says."""
        return self.run(["kubectl", *arguments], given=given, timeout=timeout)

    def apply(self, *objects: Json, namespace: str = "default") -> None:
        """Apply these objects, in this namespace if they have one."""
        content = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--namespace", namespace, "-f", "-", given=json.dumps(content))

    def get(self, *arguments: str) -> Json | None:
        """An object or a list; None for an object that isn't there."""
        text = self.kubectl("get", *arguments, "--ignore-not-found", "-o", "json")
        answer: Json | None = json.loads(text) if text.strip() else None
        return answer

    def run(self, command: list[str], *, given: str | None = None, timeout: float) -> str:
        """Run a command to its end, again if the API server was not reached."""
        for attempt in range(1, ATTEMPTS + 1):
            code, printed, reason = self._once(command, given, timeout)
            if code == 0:
                return printed
            if attempt == ATTEMPTS or not _PASSING.search(reason):
                break
            time.sleep(PAUSE)
        raise ClusterError(f"`{_short(command)}` failed: {reason}")

    def _once(self, command: list[str], given: str | None, timeout: float) -> tuple[int, str, str]:
        """Run a command: its exit code, what it printed, and why it failed. Says so if it takes long."""
        begun = time.monotonic()
        with tempfile.TemporaryFile("w+") as input_file:  # a pipe would have to be fed meanwhile
            input_file.write(given or "")
            input_file.seek(0)
            process = self._start(command, input_file)
        with process:
            try:
                while True:
                    left = begun + timeout - time.monotonic()
                    try:
                        printed, errors = process.communicate(timeout=max(0.0, min(left, SAY_EVERY)))
                    except subprocess.TimeoutExpired:
                        if left <= SAY_EVERY:
                            raise ClusterError(
                                f"`{_short(command)}` did not end in {timeout:.0f} s: is the cluster healthy? "
                                "`make cluster-status` says so for the local one"
                            ) from None
                        say(f"    waiting for `{_short(command)}`, {clock(time.monotonic() - begun)}")
                        continue
                    return process.returncode, printed, errors.strip() or printed.strip()
            except BaseException:
                process.kill()
                raise

    def _start(self, command: list[str], input_file: IO[str]) -> subprocess.Popen[str]:
        try:
            return subprocess.Popen(
                self.line(command),
                env=dict(self.environment),
                stdin=input_file,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        except FileNotFoundError as error:
            raise ClusterError(
                f"there is no `{error.filename}`: install it, or `make programs` builds kubectl and helm"
            ) from None


def _short(command: list[str]) -> str:
    text = " ".join(command)
    return text if len(text) <= 90 else f"{text[:87]}..."
