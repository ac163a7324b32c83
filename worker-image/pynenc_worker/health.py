"""/metrics and /healthz of a worker.

Nothing probes /healthz: a slow broker, or a task that holds the interpreter for a minute, is no reason to
kill a busy pod. It is there to be asked.
"""

import functools
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

from pynenc_worker.logs import log
from pynenc_worker.metrics import WorkerMetrics

if TYPE_CHECKING:
    from pynenc_worker.exposition import Exposition

# A black-holed broker can hold one call of the loop for 20 s.
STALLED_AFTER_SECONDS: Final = 60.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


class _ServerV6(_Server):
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def serve(address: str, port: int, metrics: WorkerMetrics) -> None:
    """Answer in threads of its own until the process ends. A port that is taken costs the metrics, not the work.

    :param address: an IP address; empty: all, IPv6 and IPv4 where there is both
    """

    @functools.cache
    def exposition() -> "Exposition":
        from pynenc_worker.exposition import Exposition  # noqa: PLC0415 - see `metrics`

        return Exposition(metrics)

    class Handler(BaseHTTPRequestHandler):
        timeout = 10.0

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, exposition().content_type, exposition().latest())
            elif self.path == "/healthz":
                self._answer(*_health(metrics.last_round, time.time()))
            else:
                self._answer(404, "text/plain; charset=utf-8", b"/metrics or /healthz\n")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
            """Requests are no events."""

    try:
        server = _bind(address, port, Handler)
    except OSError as error:
        log.error("no metrics: port %d can't be listened on (%s)", port, error.strerror)
        return
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def _bind(address: str, port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    if address:
        return (_ServerV6 if ":" in address else _Server)((address, port), handler)
    try:
        return _ServerV6(("::", port), handler)
    except OSError:
        return _Server(("0.0.0.0", port), handler)  # noqa: S104 - a pod's port, for Prometheus


def _health(last_iteration: float, now: float) -> tuple[int, str, bytes]:
    text = "text/plain; charset=utf-8"
    if not last_iteration:
        return 503, text, b"starting: the loop has not begun\n"
    stalled = now - last_iteration
    if stalled > STALLED_AFTER_SECONDS:
        return 503, text, f"the loop has been standing still for {stalled:.0f} s\n".encode()
    return 200, text, b"ok\n"
