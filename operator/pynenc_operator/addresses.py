"""Where a backend's host leads, resolved and checked anew for every connection, which is made to just these addresses.

A name that was harmless when its URL was checked may stand for the operator's own pod a minute later, and a server may
send its clients elsewhere. It blocks: to be called in threads.
"""

import socket
from collections.abc import Callable, Sequence
from typing import Final

from pynenc_operator.backends import is_local, refused_as_local

MOST_ADDRESSES: Final = 4  # of one host; each may take all the time that a connection has


def resolved(host: str, port: int, *, allow_local: bool = False) -> list[str]:
    """The host's addresses, the first few of them.

    :raises BrokerError: one of all that it has is local, and none may be
    :raises OSError: it does not resolve
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_local and any(map(is_local, addresses)):
        raise refused_as_local()
    return addresses[:MOST_ADDRESSES]


def first[T](addresses: Sequence[str], connect: Callable[[str], T]) -> T:
    """What comes of connecting to the first address that answers.

    :raises OSError: none does; the last one's
    """
    error: OSError | None = None
    for address in addresses:
        try:
            return connect(address)
        except OSError as refused:
            error = refused
    raise error or OSError("no address")
