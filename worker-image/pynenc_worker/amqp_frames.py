"""Frames of AMQP 0-9-1 on a socket, with a deadline for what is sent and read.

pika's own connections wait for an answer until their heartbeats give up, which takes a minute, and can't be
interrupted. So pika makes and reads the frames, and the waiting is done here.
"""

import socket
import ssl
import struct
import time
from typing import Any, Final

from pika import frame, spec

from pynenc_worker.amqp_url import AmqpUrl

CHANNEL: Final = 1
FRAME_MAX: Final = 131_072  # bytes, RabbitMQ's own default; a larger frame is a mistake, or no RabbitMQ
_FRAME_TYPES: Final = (spec.FRAME_METHOD, spec.FRAME_HEADER, spec.FRAME_BODY, spec.FRAME_HEARTBEAT)
_HEADER: Final = struct.Struct(">BHI")  # type, channel, size


class AmqpError(ConnectionError):
    """The server has closed the connection or the channel, or answers nothing that can be understood.

    `code`: AMQP's reply code, 0 for none. The server's words are not kept: they may name anything.
    """

    def __init__(self, code: int = 0) -> None:
        super().__init__(f"AMQP reply code {code}" if code else "no AMQP, or the connection was closed")
        self.code = code


class FrameSocket:
    """A connected socket; whatever fails on it closes it."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self.end = 0.0  # until when sending and reading may take, by the monotonic clock
        self.sent_at = 0.0
        self.closed = False

    @classmethod
    def connect(cls, url: AmqpUrl, addresses: list[str], end: float) -> "FrameSocket":
        """Connect to the first of some addresses of a URL's host that answers, with TLS where the URL says so."""
        error: OSError | None = None
        for number, address in enumerate(addresses):
            try:  # one that is silent leaves its share of the time to each of the others
                sock = socket.create_connection((address, url.port), seconds_left(end) / (len(addresses) - number))
            except OSError as refused:
                error = refused
                continue
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(seconds_left(end))
                return cls(_context(url).wrap_socket(sock, server_hostname=url.host) if url.tls else sock)
            except BaseException:
                sock.close()
                raise
        raise error or OSError("no address")

    def close(self) -> None:
        """Close it, without a word."""
        self.closed = True
        self._socket.close()

    def send(self, *frames: Any) -> None:  # noqa: ANN401 - pika has no types
        """Send frames of pika's."""
        try:
            self._socket.settimeout(seconds_left(self.end))
            self._socket.sendall(b"".join(each.marshal() for each in frames))
        except OSError:
            self.close()
            raise
        self.sent_at = time.monotonic()

    def read(self) -> Any:  # noqa: ANN401 - pika has no types
        """The next frame, whatever it is."""
        try:
            while (found := self._decoded()) is None:
                self._receive()
        except OSError:
            self.close()
            raise
        except Exception:  # noqa: BLE001 - whatever the decoder makes of what is no AMQP
            self.close()
            raise AmqpError from None
        return found

    def _decoded(self) -> Any:  # noqa: ANN401 - pika has no types
        if len(self._buffer) < _HEADER.size:
            return None
        kind, _, size = _HEADER.unpack_from(self._buffer)
        if kind not in _FRAME_TYPES or size > FRAME_MAX:
            raise AmqpError
        used, found = frame.decode_frame(bytes(self._buffer))
        del self._buffer[:used]
        return found

    def _receive(self) -> None:
        self._socket.settimeout(seconds_left(self.end))
        received = self._socket.recv(65_536)
        if not received:
            raise AmqpError
        self._buffer += received


def seconds_left(end: float) -> float:
    """Seconds until a time of the monotonic clock.

    :raises TimeoutError: there are none
    """
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left


def _context(url: AmqpUrl) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not url.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
