"""Connections to Redis that lead to no local address, whatever a name resolves to at the moment.

A name is resolved, checked and connected to in one step, for every connection: one that was harmless when its
URL was checked may stand for the operator's own pod a minute later, and a server may send its clients elsewhere.
"""

import socket
from typing import Any

from redis import Connection, ConnectionPool, SSLConnection

from pynenc_operator.backends import is_local, refused_as_local


class _Checked(Connection):
    """A connection to just the addresses that were checked."""

    def _connect(self) -> Any:  # noqa: ANN401 - a socket, plain or with TLS; untyped in the client
        name = self.host
        found = socket.getaddrinfo(name, self.port, self.socket_type, socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if any(map(is_local, addresses)):
            raise refused_as_local()
        error: OSError | None = None
        try:
            for address in addresses:
                self.host = address
                try:
                    return super()._connect()  # type: ignore[no-untyped-call]
                except OSError as refused:
                    error = refused
        finally:
            self.host = name  # which a certificate is compared with
        raise error or OSError("no address")


class _CheckedTls(SSLConnection, _Checked):
    """The same with TLS, which begins once the checked address is connected to."""


def check_addresses(pool: ConnectionPool) -> None:
    """Let a pool, which has made no connection yet, make only such."""
    tls = issubclass(pool.connection_class, SSLConnection)
    pool.connection_class = _CheckedTls if tls else _Checked


class IdleConnections:
    """A pool's, but for those that are in use: the plugin shares it with URLs that say the same in other words."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def close(self) -> None:
        """Close them; the pool makes others where they are needed."""
        self._pool.disconnect(inuse_connections=False)
