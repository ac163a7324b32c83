"""Frames on a socket whose other end says what a RabbitMQ would not."""

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest
from pika import frame, spec

from pynenc_worker.amqp_frames import FRAME_MAX, AmqpError, FrameSocket
from pynenc_worker.amqp_url import parse_amqp_url


@pytest.fixture
def ends() -> Iterator[tuple[FrameSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    frames = FrameSocket(ours)
    frames.end = time.monotonic() + 30
    yield frames, theirs
    frames.close()
    theirs.close()


def test_frames_come_as_they_were_sent_however_they_are_cut(ends: tuple[FrameSocket, socket.socket]) -> None:
    frames, theirs = ends
    sent = frame.Method(1, spec.Queue.DeclareOk("q", 7, 0)).marshal() + frame.Heartbeat().marshal()
    for byte in sent:
        theirs.sendall(bytes([byte]))
    assert frames.read().method.message_count == 7
    assert isinstance(frames.read(), frame.Heartbeat)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"-ERR unknown command\r\n",
        b"AMQP\x00\x01\x00\x00",
        b"\x01\x00\x00" + (FRAME_MAX + 1).to_bytes(4),
        b"\x01\x00\x00\x00\x00\x00\x04\xff\xff\xff\xff\xce",  # no such method
        b"\x01\x00\x00\x00\x00\x00\x01\x00\xce",  # too short for one
        b"\x08\x00\x00\x00\x00\x00\x00\x00",  # its end is another
        b"",
    ],
)
def test_what_is_no_amqp_ends_the_connection(ends: tuple[FrameSocket, socket.socket], said: bytes) -> None:
    frames, theirs = ends
    theirs.sendall(said)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(AmqpError):
        frames.read()
    assert frames.closed


def test_nothing_is_waited_for_longer_than_to_the_end(ends: tuple[FrameSocket, socket.socket]) -> None:
    frames, theirs = ends
    frames.end = time.monotonic() + 0.05
    theirs.sendall(b"\x01")
    with pytest.raises(TimeoutError):
        frames.read()
    assert frames.closed


def test_nothing_is_sent_after_the_end(ends: tuple[FrameSocket, socket.socket]) -> None:
    frames, _ = ends
    frames.end = time.monotonic() - 1
    with pytest.raises(TimeoutError):
        frames.send(frame.Heartbeat())
    assert frames.closed


def test_an_address_that_is_silent_leaves_time_for_the_next() -> None:
    with socket.create_server(("127.0.0.1", 0)) as answering:
        port = answering.getsockname()[1]
        with socket.create_server(("127.0.0.2", port), backlog=0) as full, contextlib.ExitStack() as waiting:
            for _ in range(3):  # until it takes no more
                client = waiting.enter_context(socket.socket())
                client.settimeout(0)
                client.connect_ex(full.getsockname())
            end = time.monotonic() + 4
            frames = FrameSocket.connect(parse_amqp_url(f"amqp://host:{port}"), ["127.0.0.2", "127.0.0.1"], end)
            frames.close()
            assert time.monotonic() < end
