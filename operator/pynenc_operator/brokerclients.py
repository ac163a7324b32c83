"""pynenc's brokers, one for each backend. The only module that imports pynenc.

What it does blocks: it is called in threads.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pynenc import Pynenc
from pynenc.plugin_loader import load_all_plugins

from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind, checked_redis_url
from pynenc_operator.mongourl import checked_mongo_url, database_of
from pynenc_operator.redisconnection import check_addresses

if TYPE_CHECKING:
    from pynenc_operator.mongoconnection import Client

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
        self._mongo: dict[str, Client] = {}  # by URL
        self._mongo_lock = threading.Lock()

    def __contains__(self, backend: Backend) -> bool:
        return backend in self._clients

    def broker(self, backend: Backend, now: float) -> Any:  # noqa: ANN401 - of either line of pynenc
        """The broker of a backend."""
        if backend.kind is BackendKind.SQLITE:
            _refuse_strange_file(Path(backend.url))  # each time: who can write to the volume may have changed it
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
                if backend.kind is BackendKind.MONGODB:
                    self._disconnect_mongo(backend.url)

    def close(self) -> None:
        """Leave every server that is watched."""
        with self._mongo_lock:
            clients, self._mongo = [*self._mongo.values()], {}
        for client in clients:
            client.close()

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
            return _broker(backend, broker_cls="SQLiteBroker", sqlite_db_path=backend.url)
        if backend.kind is BackendKind.MONGODB:
            from pynenc_operator.mongoqueue import MongoQueue  # noqa: PLC0415 - most operators never need its client

            return MongoQueue(self._connect_mongo(backend.url), database_of(backend.url), backend.app_id)
        raise BrokerError(BrokerErrorKind.UNSUPPORTED, f"it has no plugin for {backend.kind}; use redis or sqlite")

    def _connect_mongo(self, url: str) -> "Client":
        """The one client of a URL: it watches its servers in threads of its own, and so would each app's."""
        from pynenc_operator import mongoconnection  # noqa: PLC0415 - see above

        with self._mongo_lock:
            if url not in self._mongo:
                checked = checked_mongo_url(url, allow_local=self._allow_local)
                self._mongo[url] = mongoconnection.connect(
                    checked, allow_local=self._allow_local, connections=self._connections
                )
            return self._mongo[url]

    def _disconnect_mongo(self, url: str) -> None:
        """Close the client of a URL, unless another app uses it. It says so to its servers: not in this thread."""
        with self._mongo_lock:
            used = any(backend.url == url for backend in list(self._clients))
            client = None if used else self._mongo.pop(url, None)
        if client is not None:
            threading.Thread(target=client.close, name="leave a MongoDB", daemon=True).start()

    def _disconnect(self, pool: Any) -> None:  # noqa: ANN401
        """Close a client's connections, unless another app of the same URL has them too: the plugin shares them."""
        clients = [client.broker.client for it, client in list(self._clients.items()) if it.kind is BackendKind.REDIS]
        if all(client.connection_pool is not pool for client in clients):
            pool.disconnect(inuse_connections=False)  # one that counts for the first time is no client yet


def _broker(backend: Backend, **values: object) -> Any:  # noqa: ANN401
    # No task is imported and no runner made: the broker alone needs neither. Its log would tell URLs.
    settings = {"app_id": backend.app_id, "logging_level": "critical", **values}
    return Pynenc(config_values=settings).broker


def _refuse_strange_file(path: Path) -> None:
    """Only a file that is there, and where it says: SQLite would make a new one, and follow links elsewhere."""
    if not path.is_file():
        raise BrokerError(
            BrokerErrorKind.UNREACHABLE,
            "no such file: mount the volume of spec.backend.sqlite in the operator too; the app makes the file "
            "when it first enqueues",
        )
    if path.resolve() != path:
        raise BrokerError(BrokerErrorKind.REFUSED, "the path of the SQLite file leads through a link")
