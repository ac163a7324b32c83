"""Connections to Redis that lead to no local address, whatever a name resolves to at the moment."""

from typing import Any

from pynenc_redis.util.mongo_client import _POOLS_LOCK, _REDIS_POOLS
from redis import Connection, ConnectionPool, SSLConnection

from pynenc_operator.addresses import first, resolved


class _Checked(Connection):
    """A connection to just the addresses that were checked."""

    def _connect(self) -> Any:  # noqa: ANN401 - a socket, plain or with TLS; untyped in the client
        name = self.host
        try:
            return first(resolved(name, self.port), self._connect_to)
        finally:
            self.host = name  # which a certificate is compared with

    def _connect_to(self, address: str) -> Any:  # noqa: ANN401 - see above
        self.host = address
        return super()._connect()  # type: ignore[no-untyped-call]


class _CheckedTls(SSLConnection, _Checked):
    """The same with TLS, which begins once the checked address is connected to."""


def check_addresses(pool: ConnectionPool) -> None:
    """Let a pool, which has made no connection yet, make only such."""
    tls = issubclass(pool.connection_class, SSLConnection)
    pool.connection_class = _CheckedTls if tls else _Checked


class IdleConnections:
    """A pool's, but for those that are in use: the plugin shares it with URLs that say the same in other words."""

    def __init__(self, pool: ConnectionPool, url: str) -> None:
        """`url`: as the plugin was given it."""
        self._pool = pool
        self._url = url

    def close(self) -> None:
        """Close them, and have the plugin forget the URL with its password; who still has its pool may go on with it.

        The plugin may have made another pool since, where one that says the same was closed before.
        """
        with _POOLS_LOCK:
            latest = _REDIS_POOLS.pop(self._url, self._pool)
        for pool in {self._pool, latest}:
            pool.disconnect(inuse_connections=False)
