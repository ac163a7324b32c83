"""AMQP 0-9-1 as RabbitMQ speaks it, as far as one queue needs it: blocking, with a deadline for each call.

Operator and worker use it both.

Source: the AMQP 0-9-1 specification, and rabbitmq.com, "Consumer Acknowledgements and Publisher Confirms".
"""

import time
from contextlib import suppress
from typing import Any, Final

from pika import frame, spec

from pynenc_worker.amqp_frames import CHANNEL, FRAME_MAX, AmqpError, FrameSocket
from pynenc_worker.amqp_url import AmqpUrl

NOT_FOUND: Final = 404
_PERSISTENT: Final = 2


class _ChannelClosedError(AmqpError):
    """The server has closed the channel alone; the next call opens it again."""


def connect(url: AmqpUrl, addresses: list[str], *, name: str, timeout: float, heartbeat: int = 0) -> "AmqpConnection":
    """Connect to the first of some addresses of the host that answers, and log in.

    :param name: what RabbitMQ's own pages call the connection
    :param timeout: seconds for this and for each call afterwards
    :param heartbeat: seconds, see `AmqpConnection.beat`; 0 for none
    :raises OSError: no address can be reached in time, or the server refuses: then it is an AmqpError
    """
    end = time.monotonic() + timeout
    frames = FrameSocket.connect(url, addresses, end)
    frames.end = end
    connection = AmqpConnection(frames, timeout, heartbeat)
    try:
        connection.log_in(url, name)
    except BaseException:
        frames.close()
        raise
    return connection


class AmqpConnection:
    """A connection with one channel, for one thread at a time. What the server refuses leaves it open."""

    def __init__(self, frames: FrameSocket, timeout: float, heartbeat: int) -> None:
        self._frames = frames
        self._timeout = timeout
        self._heartbeat = heartbeat
        self._open = False  # the channel
        self._confirms = False
        self._returned = False
        self._taken = 0  # tag of the last message that was taken on this channel and is not acknowledged

    @property
    def closed(self) -> bool:
        """Whether it can't be used any more."""
        return self._frames.closed

    def log_in(self, url: AmqpUrl, name: str) -> None:
        """Begin the connection, with the virtual host of the URL."""
        capabilities = {"authentication_failure_close": True, "publisher_confirms": True}
        properties = {"product": "pynenc-operator", "connection_name": name, "capabilities": capabilities}
        self._frames.send(frame.ProtocolHeader())
        self._expect(spec.Connection.Start)
        self._send(0, spec.Connection.StartOk(properties, "PLAIN", f"\0{url.user}\0{url.password}", "en_US"))
        tune = self._expect(spec.Connection.Tune)
        self._send(0, spec.Connection.TuneOk(CHANNEL, min(tune.frame_max or FRAME_MAX, FRAME_MAX), self._heartbeat))
        self._send(0, spec.Connection.Open(url.vhost))
        self._expect(spec.Connection.OpenOk)

    def count(self, queue: str) -> int | None:
        """How many messages are ready in a queue; None: the server says that there is no such queue."""
        found = self._asked(spec.Queue.Declare(queue=queue, passive=True), spec.Queue.DeclareOk)
        return None if found is None else int(found.message_count)

    def declare(self, queue: str) -> None:
        """Make a queue that outlives the server, if there is none of this name; one of another kind is left."""
        if self.count(queue) is None:
            self._asked(spec.Queue.Declare(queue=queue, durable=True), spec.Queue.DeclareOk)

    def get(self, queue: str) -> bytes | None:
        """Take a message, which is queued again unless it is acknowledged. None: there is none, or no such queue."""
        answer = self._asked(spec.Basic.Get(queue=queue), spec.Basic.GetOk, spec.Basic.GetEmpty)
        if not isinstance(answer, spec.Basic.GetOk):
            return None
        body = self._content()
        self._taken = answer.delivery_tag
        return body

    def acknowledge(self) -> None:
        """Have the server forget all messages that were taken."""
        if self._taken:
            self._begin()
            self._send(CHANNEL, spec.Basic.Ack(self._taken, multiple=True))
            self._taken = 0

    def publish(self, queue: str, body: bytes) -> bool:
        """Put a message into a queue, and wait until the server has it; False: there is no such queue."""
        self._begin()
        if not self._confirms:
            self._send(CHANNEL, spec.Confirm.Select())
            self._expect(spec.Confirm.SelectOk)
            self._confirms = True
        self._returned = False
        self._frames.send(
            frame.Method(CHANNEL, spec.Basic.Publish(routing_key=queue, mandatory=True)),
            frame.Header(CHANNEL, len(body), spec.BasicProperties(delivery_mode=_PERSISTENT)),
            frame.Body(CHANNEL, body),
        )
        if isinstance(self._expect(spec.Basic.Ack, spec.Basic.Nack), spec.Basic.Nack):
            raise AmqpError  # the server could not keep it
        return not self._returned

    def purge(self, queue: str) -> None:
        """Remove what is ready in a queue."""
        self._asked(spec.Queue.Purge(queue=queue), spec.Queue.PurgeOk)

    def beat(self) -> None:
        """Say that the client lives, if nothing else has said so for a while; to be called now and then.

        A server that hears nothing for twice the heartbeat closes the connection, and queues again what was taken
        on it and not acknowledged.
        """
        if self._heartbeat and time.monotonic() - self._frames.sent_at > self._heartbeat / 3:
            self._frames.end = time.monotonic() + self._timeout
            self._frames.send(frame.Heartbeat())

    def close(self) -> None:
        """Close it, in order as far as that takes no waiting."""
        if not self.closed:
            self._frames.end = time.monotonic() + self._timeout
            with suppress(OSError):
                self._send(0, spec.Connection.Close(200, "", 0, 0))
            self._frames.close()

    def _asked(self, method: Any, *answers: type) -> Any:  # noqa: ANN401 - pika has no types
        """The answer to a method; None where the server says that there is no such queue."""
        self._begin()
        self._send(CHANNEL, method)
        try:
            return self._expect(*answers)
        except _ChannelClosedError as error:
            if error.code == NOT_FOUND:
                return None
            raise

    def _begin(self) -> None:
        self._frames.end = time.monotonic() + self._timeout
        if not self._open:
            self._send(CHANNEL, spec.Channel.Open())
            self._expect(spec.Channel.OpenOk)
            self._open, self._confirms = True, False

    def _send(self, channel: int, method: Any) -> None:  # noqa: ANN401 - pika has no types
        self._frames.send(frame.Method(channel, method))

    def _content(self) -> bytes:
        """The body of a message whose method was read; only the connection's own frames may stand within it.

        After anything else the connection is closed: the server queues the message again.
        """
        size, body = None, b""
        while size is None or len(body) < size:
            found = self._read()
            if size is None and isinstance(found, frame.Header):
                size = found.body_size
            elif size is not None and isinstance(found, frame.Body):
                body += found.fragment
            elif found.channel_number:
                self._frames.close()
                raise AmqpError
        return body

    def _expect(self, *kinds: type) -> Any:  # noqa: ANN401 - pika has no types
        """The next method of one of these kinds; what the server says meanwhile is noted."""
        while True:
            method = getattr(self._read(), "method", None)
            if isinstance(method, kinds):
                return method
            if isinstance(method, spec.Channel.Close):
                self._open, self._taken = False, 0
                self._send(CHANNEL, spec.Channel.CloseOk())
                raise _ChannelClosedError(method.reply_code)
            self._returned = self._returned or isinstance(method, spec.Basic.Return)

    def _read(self) -> Any:  # noqa: ANN401 - pika has no types
        """The next frame, but the one by which the server closes the connection: that is an AmqpError."""
        found = self._frames.read()
        method = getattr(found, "method", None)
        if isinstance(method, spec.Connection.Close):
            self._frames.close()
            raise AmqpError(method.reply_code)
        return found
