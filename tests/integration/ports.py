"""Ports for servers of a test's own."""

import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at the moment, on no address: a test may want one of another address for itself."""
    with ExitStack() as stack:
        free = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in free:
            each.bind(("", 0))
        return [each.getsockname()[1] for each in free]
