"""pynenc's brokers or what stands in for them, one for each backend, and their connections, one lot for each URL.

The only module that makes apps of pynenc. What it does blocks: it is called in threads.
"""

import threading
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from pynenc import Pynenc
from pynenc.plugin_loader import load_all_plugins
from pynenc.util.sqlite_utils import TableNames
from redis import ConnectionPool

from pynenc_operator.backends import Backend, BackendKind, checked_redis_url
from pynenc_operator.mongourl import checked_mongo_url, database_of
from pynenc_operator.rabbitmq import RabbitServer
from pynenc_operator.redisconnection import IdleConnections, check_addresses
from pynenc_operator.sqliteapp import SqliteApp

_SOCKET_SECONDS: Final = 1.0  # redis-py tries four times: a thread that nobody waits for ends after about 4 s
UNUSED_SECONDS: Final = 600.0


def load_plugins() -> None:
    """Import pynenc's plugins. To be called once, before the first count: it can take longer than a count may."""
    load_all_plugins()


class _Connections(Protocol):
    """What the apps of one URL have in common."""

    def close(self) -> None:
        """Close them; it may say so to the server."""


@dataclass(frozen=True, slots=True)
class RedisKeys:
    """Where an app's queues stand: what its broker's keys begin with, and the pool that leads to them."""

    prefix: str
    pool: ConnectionPool


@dataclass(slots=True)
class _Client:
    broker: Any
    used: float


class BrokerClients:
    """Brokers, made when they are first asked for; each connects when it is asked something."""

    def __init__(self, *, allow_local: bool, connections: int) -> None:
        """`connections`: how many there may be to one URL."""
        self._allow_local = allow_local
        self._most = connections
        self._clients: dict[Backend, _Client] = {}
        self._connections: dict[tuple[BackendKind, str], Any] = {}

    def __contains__(self, backend: Backend) -> bool:
        return backend in self._clients

    def broker(self, backend: Backend, now: float) -> Any:  # noqa: ANN401 - of either line of pynenc
        """The broker of a backend."""
        client = self._clients.get(backend)
        if client is None:
            client = self._clients[backend] = _Client(self._connect(backend), now)
        client.used = now
        return client.broker

    def redis_keys(self, backend: Backend, now: float) -> RedisKeys | None:
        """Where the queues of a backend stand that is known, and in use with this; None: it is not, or is no Redis."""
        if not backend.has_redis_queues or backend not in self._clients:
            return None
        broker = self.broker(backend, now)
        return RedisKeys(broker.key.prefix, broker.client.connection_pool)

    def evict(self, now: float, asked: Set[Backend]) -> None:
        """Drop what has not been asked for some time, and close the connections that nobody has any more.

        :param asked: what is being asked at the moment; to be called where nothing can be added to it meanwhile
        """
        for backend, client in list(self._clients.items()):
            if now - client.used > UNUSED_SECONDS and backend not in asked:
                del self._clients[backend]
        used = {(backend.kind, backend.url) for backend in (*self._clients, *asked)}
        self._close([place for place in list(self._connections) if place not in used])

    def close(self) -> None:
        """Close all connections."""
        self._clients.clear()
        self._close(list(self._connections))

    def _close(self, places: list[tuple[BackendKind, str]]) -> None:
        """Close connections, in a thread: MongoDB's client takes its leave of the server, which may not answer."""
        if not places:
            return
        closing = [self._connections.pop(place) for place in places]

        def close() -> None:
            for connections in closing:
                with suppress(Exception):  # any client's own; nobody needs them any more
                    connections.close()

        with suppress(RuntimeError):  # no more threads: they go with the last that knows of them
            threading.Thread(target=close, name="close connections", daemon=True).start()

    def _connect(self, backend: Backend) -> Any:  # noqa: ANN401
        match backend.kind:
            case BackendKind.REDIS:
                url = checked_redis_url(backend.url)
                broker = _broker(
                    backend,
                    broker_cls="RedisBroker",
                    redis_url=url,
                    socket_timeout=_SOCKET_SECONDS,
                    socket_connect_timeout=_SOCKET_SECONDS,
                    redis_pool_max_connections=self._most,  # one pool serves all apps of a URL
                )
                pool = broker.client.connection_pool
                if not self._allow_local:
                    check_addresses(pool)
                self._shared(backend, lambda: IdleConnections(pool, url))
                return broker
            case BackendKind.SQLITE:
                queues, runs = (TableNames(backend.app_id, part).table_prefix for part in ("broker", "orchestrator"))
                names = f"{queues}_message_queue", f"{runs}_invocations", f"{runs}_runner_heartbeats"
                return SqliteApp(Path(backend.url), *names)
            case BackendKind.RABBITMQ:
                server = self._shared(backend, lambda: RabbitServer(backend.url, allow_local=self._allow_local))
                return server.queue(backend.queue)
            case BackendKind.MONGODB:
                # Most operators never need its client, which takes a fifth of a second and some MB.
                from pynenc_operator import mongoconnection, mongoqueue  # noqa: PLC0415

                database = database_of(backend.url)
                url = checked_mongo_url(backend.url, allow_local=self._allow_local)
                client = self._shared(
                    backend,
                    lambda: mongoconnection.connect(url, allow_local=self._allow_local, connections=self._most),
                )
                return mongoqueue.MongoQueue(client, database, backend.app_id)

    def _shared[C: _Connections](self, backend: Backend, make: Callable[[], C]) -> C:
        """The connections of a URL. Of two that two threads make at once, and that are not open yet, one stays."""
        place = (backend.kind, backend.url)
        found: C | None = self._connections.get(place)
        return self._connections.setdefault(place, make()) if found is None else found


def _broker(backend: Backend, **values: object) -> Any:  # noqa: ANN401
    # No task is imported and no runner made: the broker alone needs neither. Its log would tell URLs.
    settings = {"app_id": backend.app_id, "logging_level": "critical", **values}
    broker = Pynenc(config_values=settings).broker
    log = broker.app.logger
    for each in log.filters[:-1]:  # each app adds one that holds its configuration to the logger of all of that id
        log.removeFilter(each)
    return broker
