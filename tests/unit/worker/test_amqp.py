"""A connection whose server says what a RabbitMQ may say, and what it would not."""

import socket
from collections.abc import Iterator

import pytest
from pika import frame, spec

from pynenc_worker.amqp import AmqpConnection
from pynenc_worker.amqp_frames import CHANNEL, AmqpError, FrameSocket

BEAT = frame.Heartbeat()
FOUND = frame.Method(
    CHANNEL, spec.Basic.GetOk(delivery_tag=5, redelivered=False, exchange="", routing_key="q", message_count=0)
)
HEADER = frame.Header(CHANNEL, 4, spec.BasicProperties())
HALF = frame.Body(CHANNEL, b"ab")
BLOCKED = frame.Method(0, spec.Connection.Blocked("memory"))
CLOSED = frame.Method(0, spec.Connection.Close(320, "shutdown", 0, 0))


@pytest.fixture
def ends() -> Iterator[tuple[AmqpConnection, socket.socket]]:
    ours, theirs = socket.socketpair()
    connection = AmqpConnection(FrameSocket(ours), timeout=5, heartbeat=10)
    yield connection, theirs
    connection.close()
    theirs.close()


def say(theirs: socket.socket, *frames: frame.Frame) -> None:
    opened = frame.Method(CHANNEL, spec.Channel.OpenOk())
    theirs.sendall(b"".join(each.marshal() for each in (opened, *frames)))


def test_a_message_is_read_past_what_is_said_of_the_connection(ends: tuple[AmqpConnection, socket.socket]) -> None:
    connection, theirs = ends
    say(theirs, BEAT, FOUND, BEAT, HEADER, BLOCKED, HALF, BEAT, HALF)
    assert connection.get("q") == b"abab"


@pytest.mark.parametrize(
    "within",
    [[HALF], [HEADER, HEADER], [HEADER, HALF, FOUND], [CLOSED], [HEADER, frame.Method(1, spec.Channel.Flow())]],
)
def test_anything_else_within_a_message_closes_the_connection_so_that_it_is_queued_again(
    ends: tuple[AmqpConnection, socket.socket], within: list[frame.Frame]
) -> None:
    connection, theirs = ends
    say(theirs, FOUND, *within)
    with pytest.raises(AmqpError) as raised:
        connection.get("q")
    assert connection.closed
    assert raised.value.code == (320 if within == [CLOSED] else 0)
