"""pynenc's brokers, one for each backend; of RabbitMQ the queue itself, of SQLite the file.

The only module that imports pynenc. What it does blocks: it is called in threads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pynenc import Pynenc
from pynenc.plugin_loader import load_all_plugins
from pynenc.util.sqlite_utils import TableNames

from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind, checked_redis_url
from pynenc_operator.rabbitmq import RabbitConnections
from pynenc_operator.redisconnection import check_addresses
from pynenc_operator.sqliteapp import SqliteApp

_SOCKET_SECONDS: Final = 1.0  # redis-py tries four times: a thread that nobody waits for ends after about 4 s
UNUSED_SECONDS: Final = 600.0


def load_plugins() -> None:
    """Import pynenc's plugins. To be called once, before the first count: it can take longer than a count may."""
    load_all_plugins()


@dataclass(slots=True)
class _Client:
    broker: Any
    used: float


class BrokerClients:
    """Brokers, made when they are first asked for; each connects when it is asked something."""

    def __init__(self, *, allow_local: bool, connections: int) -> None:
        """`connections`: how many there may be to one URL."""
        self._allow_local = allow_local
        self._connections = connections
        self._clients: dict[Backend, _Client] = {}
        self._rabbit = RabbitConnections(allow_local=allow_local)

    def __contains__(self, backend: Backend) -> bool:
        return backend in self._clients

    def broker(self, backend: Backend, now: float) -> Any:  # noqa: ANN401 - of either line of pynenc
        """The broker of a backend."""
        client = self._clients.get(backend)
        if client is None:
            client = self._clients[backend] = _Client(self._connect(backend), now)
        client.used = now
        return client.broker

    def evict(self, now: float, is_used: Callable[[Backend], bool]) -> None:
        """Drop what has not been asked for some time; `is_used`: whether it is being asked at the moment."""
        for backend, client in list(self._clients.items()):
            if now - client.used > UNUSED_SECONDS and not is_used(backend):
                del self._clients[backend]
                if backend.kind is BackendKind.REDIS:
                    self._disconnect(client.broker.client.connection_pool)

    def _connect(self, backend: Backend) -> Any:  # noqa: ANN401
        if backend.kind is BackendKind.REDIS:
            broker = _broker(
                backend,
                broker_cls="RedisBroker",
                redis_url=checked_redis_url(backend.url),
                socket_timeout=_SOCKET_SECONDS,
                socket_connect_timeout=_SOCKET_SECONDS,
                redis_pool_max_connections=self._connections,  # one pool serves all apps of a URL
            )
            if not self._allow_local:
                check_addresses(broker.client.connection_pool)
            return broker
        if backend.kind is BackendKind.SQLITE:
            queues, runs = (TableNames(backend.app_id, part).table_prefix for part in ("broker", "orchestrator"))
            names = f"{queues}_message_queue", f"{runs}_invocations", f"{runs}_runner_heartbeats"
            return SqliteApp(Path(backend.url), *names)
        if backend.kind is BackendKind.RABBITMQ:
            return self._rabbit.queue(backend)
        words = f"it has no plugin for {backend.kind}; use redis, rabbitmq or sqlite"
        raise BrokerError(BrokerErrorKind.UNSUPPORTED, words)

    def _disconnect(self, pool: Any) -> None:  # noqa: ANN401
        """Close a client's connections, unless another app of the same URL has them too: the plugin shares them."""
        clients = [client.broker.client for it, client in list(self._clients.items()) if it.kind is BackendKind.REDIS]
        if all(client.connection_pool is not pool for client in clients):
            pool.disconnect(inuse_connections=False)  # one that counts for the first time is no client yet


def _broker(backend: Backend, **values: object) -> Any:  # noqa: ANN401
    # No task is imported and no runner made: the broker alone needs neither. Its log would tell URLs.
    settings = {"app_id": backend.app_id, "logging_level": "critical", **values}
    return Pynenc(config_values=settings).broker
