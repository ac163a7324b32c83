"""What the cluster says as it happens: watches and a log, each by a kubectl of its own, read line by line."""

import queue
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import IO

from examples.demo.client import Client
from examples.demo.stage import NAMESPACE, PRODUCER, RUNNER
from pynenc_operator import labels
from tests.cluster.console import ClusterError

_RESTART_AFTER = 0.5  # seconds
_SILENT_ATTEMPTS = 40  # in a row, without a line in between
_WATCH_SECONDS = 120  # the API server then ends a watch: a connection that died unseen is noticed by that


@dataclass(frozen=True)
class Line:
    """A line of a stream, and when it came (Unix seconds). `text` None: the stream starts anew, from its beginning."""

    stream: str
    at: float
    text: str | None


def watch(path: str, selector: str = "") -> list[str]:
    """A kubectl command that prints the watch events of an API path, one JSON object a line; the present ones first."""
    labelled = f"&labelSelector={selector.replace('=', '%3D').replace(',', '%2C')}" if selector else ""
    return ["kubectl", "get", "--raw", f"{path}?watch=true&timeoutSeconds={_WATCH_SECONDS}{labelled}"]


PODS, RUNNERS, EVENTS, LOG = "pods", "runners", "events", "log"
_COMMANDS = {
    PODS: watch(f"/api/v1/namespaces/{NAMESPACE}/pods", labels.workers_of(RUNNER)),
    RUNNERS: watch(f"/apis/{labels.GROUP}/{labels.VERSION}/namespaces/{NAMESPACE}/{labels.PLURAL}"),
    EVENTS: watch(f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"),
    LOG: ["kubectl", "logs", "--follow", "--namespace", NAMESPACE, f"job/{PRODUCER}"],
}


@dataclass
class _Stream:
    command: list[str]
    process: subprocess.Popen[str] | None = None
    restart_at: float = 0.0
    silent: int = 0  # attempts since the last line
    errors: list[str] = field(default_factory=list)
    readers: list[threading.Thread] = field(default_factory=list)


class Streams:
    """A context manager: its kubectls run until it ends. Start them from the thread that outlives them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lines: queue.SimpleQueue[Line] = queue.SimpleQueue()
        self._streams: dict[str, _Stream] = {}

    def __enter__(self) -> "Streams":
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._streams.values():
            if stream.process:
                stream.process.kill()
                stream.process.wait(timeout=10)
            for reader in stream.readers:
                reader.join(timeout=10)

    def follow(self, *names: str) -> None:
        """Begin to read these streams."""
        for name in names:
            self._streams[name] = _Stream(_COMMANDS[name])
        self.tend()

    def tend(self) -> None:
        """Start again what has ended: a watch has its time, a pod may not run yet. Raises after many vain attempts."""
        now = time.monotonic()
        for name, stream in self._streams.items():
            if stream.process and stream.process.poll() is not None:
                stream.process = None
                stream.restart_at = now + _RESTART_AFTER
            if stream.process is None and now >= stream.restart_at:
                if stream.silent >= _SILENT_ATTEMPTS:
                    said = "; ".join(stream.errors[-3:]) or "it says nothing"
                    raise ClusterError(
                        f"`{' '.join(stream.command)}` gives nothing in {stream.silent} attempts: {said}"
                    )
                self._start(name, stream)

    def read(self, seconds: float) -> list[Line]:
        """The lines that have come; waits at most so long for the first."""
        found: list[Line] = []
        try:
            found.append(self._lines.get(timeout=seconds))
            while True:
                found.append(self._lines.get_nowait())
        except queue.Empty:
            return found

    def _start(self, name: str, stream: _Stream) -> None:
        stream.silent += 1
        # The kernel ends it with us, whatever ends us; Ctrl-C is for us, who then stop it in order.
        stream.process = process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *self._client.line(stream.command)],
            env=dict(self._client.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert process.stdout  # noqa: S101 - as asked for
        assert process.stderr  # noqa: S101
        self._lines.put(Line(name, time.time(), None))
        for target, pipe in ((self._deliver, process.stdout), (self._note, process.stderr)):
            reader = threading.Thread(target=target, args=(name, stream, pipe), daemon=True)
            reader.start()
            stream.readers.append(reader)

    def _deliver(self, name: str, stream: _Stream, pipe: IO[str]) -> None:
        with pipe:
            for text in pipe:
                stream.silent = 0
                self._lines.put(Line(name, time.time(), text))

    def _note(self, _: str, stream: _Stream, pipe: IO[str]) -> None:
        with pipe:
            stream.errors.extend(line.strip() for line in pipe)
