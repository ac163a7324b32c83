"""Each backend of these tests: a server beside the cluster's pods, and what runner and producer are told of it.

Servers run in the nodes' network, as the Redis of stories of faults does: an image of each would cost every run of the
tests more than it tells. MongoDB's place is taken by FerretDB: docs/backends.md says what that proves.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.cluster import images
from tests.cluster.node import NODE
from tests.e2e.backends import sharedvolume
from tests.e2e.kubernetes import apply
from tests.e2e.taskqueue import components
from tests.integration.mongo_server import MongoServer
from tests.integration.rabbitmq_server import PASSWORD, RabbitServer, plugin_settings
from tests.integration.redis_server import RedisServer

type Json = dict[str, Any]

PREFIX = "shop.reports"
FILE = "pynenc.db"
DATA = "/data"  # where a producer has its volume
_SECRET = "reports-backend"


@dataclass(frozen=True)
class Served:
    """A backend that runs."""

    spec: Json  # of the runner
    environment: dict[str, str]  # the producer's
    away: Callable[[], AbstractContextManager[None]]  # for a while nobody can reach it, or write to it
    counted_meanwhile: bool = False
    secret: str = ""  # what has to stay unseen
    volumes: Json = field(default_factory=dict)  # the producer's: `volumes` and `volumeMounts`


@dataclass(frozen=True)
class Backend:
    """A backend, and a line of pynenc that works with it; `serve` takes a folder of its own and the app's namespace."""

    name: str
    serve: Callable[[Path, str], AbstractContextManager[Served]]
    image: images.Image = images.DEMO
    names_queues: bool = False

    def __str__(self) -> str:
        return self.name


class _Server(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...


def _stopped(server: _Server) -> Callable[[], AbstractContextManager[None]]:
    @contextmanager
    def away() -> Iterator[None]:
        server.stop()
        try:
            yield
        finally:
            server.start()

    return away


def _url_from(namespace: str, url: str) -> Json:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": _SECRET}, "stringData": {"url": url}}
    apply(secret, namespace)
    return {"urlFrom": {"secretKeyRef": {"name": _SECRET, "key": "url"}}}


@contextmanager
def _redis(folder: Path, namespace: str) -> Iterator[Served]:
    with RedisServer.running(folder, NODE.ip) as server:
        spec = {"redis": _url_from(namespace, server.url)}
        yield Served(spec, components("Redis") | {"PYNENC__REDIS_URL": server.url}, _stopped(server))


@contextmanager
def _rabbitmq(folder: Path, namespace: str) -> Iterator[Served]:
    """The queue on a RabbitMQ, all else on the Redis of the namespace."""
    with RabbitServer.running(folder, NODE.ip) as server:
        url, redis = server.url_of(vhost="shop"), "redis://redis:6379"
        rabbitmq = {**_url_from(namespace, url), "queuePrefix": PREFIX, "redis": {"url": redis}}
        environment = components("Redis") | {"PYNENC__REDIS_URL": redis} | plugin_settings(url, PREFIX)
        yield Served({"rabbitmq": rabbitmq}, environment, _stopped(server), secret=PASSWORD)


@contextmanager
def _mongodb(folder: Path, namespace: str) -> Iterator[Served]:
    with MongoServer.running(folder, NODE.ip, user="reports", password="pa55word") as server:
        url = f"{server.url}?authSource=admin&authMechanism=SCRAM-SHA-256"
        spec = {"mongodb": _url_from(namespace, url)}
        yield Served(spec, components("Mongo") | {"PYNENC__MONGO_URL": url}, _stopped(server), secret="pa55word")


@contextmanager
def _sqlite(_folder: Path, namespace: str) -> Iterator[Served]:
    """A file on the volume that the operator has a claim of, too."""
    with sharedvolume.claimed(namespace) as folder:

        @contextmanager
        def locked() -> Iterator[None]:
            with closing(sqlite3.connect(folder / FILE, timeout=30, isolation_level=None)) as connection:
                connection.execute("BEGIN EXCLUSIVE")
                yield
                connection.execute("ROLLBACK")

        volume = {"name": "queue", "persistentVolumeClaim": {"claimName": sharedvolume.CLAIM}}
        mount = {"name": "queue", "mountPath": DATA, "subPath": namespace}
        environment = components("SQLite") | {"PYNENC__SQLITE_DB_PATH": f"{DATA}/{FILE}"}
        spec = {"sqlite": {"claimName": sharedvolume.CLAIM, "path": FILE}}
        # Its write-ahead log lets others read.
        volumes = {"volumes": [volume], "volumeMounts": [mount]}
        yield Served(spec, environment, locked, counted_meanwhile=True, volumes=volumes)


BACKENDS = (
    Backend("redis", _redis),
    Backend("rabbitmq", _rabbitmq),
    Backend("mongodb", _mongodb, images.MONGODB),
    Backend("sqlite", _sqlite),
    Backend("redis-pynenc-0.4", _redis, images.NEXT, names_queues=True),
    Backend("sqlite-pynenc-0.4", _sqlite, images.NEXT, names_queues=True),
)
