"""Each test runs on all lines: pynenc 0.3.1 on Redis, on RabbitMQ with Redis and on MongoDB's protocol, and the next
one on SQLite and on Redis.

On RabbitMQ and MongoDB those that bear on the queue, ALL_LINES, also in `make test`; the others are slow, for its sake.
"""

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.half_cluster import HalfCluster
from tests.integration.mongo_server import MongoServer
from tests.integration.rabbitmq_server import RabbitServer
from tests.integration.redis_server import RedisServer
from tests.integration.worker.kubernetes_api import KubernetesApi
from tests.integration.worker.pod import Pod, grant
from tests.integration.worker.processes import Line, Producer, Worker, show

REDIS = "pynenc-0.3-redis"
RABBITMQ = "pynenc-0.3-rabbitmq"
MONGODB = "pynenc-0.3-mongodb"
SQLITE = "pynenc-next-sqlite"
NEXT_REDIS = "pynenc-next-redis"
ALL_LINES = (REDIS, RABBITMQ, MONGODB, SQLITE)
# Of stories that take over a minute on each: pynenc's heartbeats are trusted so late.
ONE_LINE_IN_MAKE_TEST = (
    REDIS,
    *(pytest.param(line, marks=pytest.mark.slow) for line in (RABBITMQ, MONGODB, SQLITE, NEXT_REDIS)),
)

_apps = itertools.count(1)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for all tests; each has an app id of its own in it."""
    with RedisServer.running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def api(half_cluster: HalfCluster) -> KubernetesApi:
    return KubernetesApi(half_cluster)


@pytest.fixture(
    params=[
        REDIS,
        pytest.param(RABBITMQ, marks=pytest.mark.slow),
        pytest.param(MONGODB, marks=pytest.mark.slow),
        SQLITE,
        pytest.param(NEXT_REDIS, marks=pytest.mark.slow),
    ]
)
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Line:
    """Where this test's app lives; a test may name `pynenc-0.3-sqlite` too."""
    app_id = f"app{next(_apps)}"
    if request.param == RABBITMQ:
        servers = request.getfixturevalue("rabbitmq_server"), request.getfixturevalue("redis_server")
        return rabbitmq_line(*servers, tmp_path, app_id)
    _, release, backend = request.param.split("-")
    other = "mongodb_python" if backend == "mongodb" else "next_python" if release == "next" else None
    python = request.getfixturevalue(other) if other else Path(sys.executable)
    server = {"redis": "redis_server", "mongodb": "mongo_server"}.get(backend)
    url = request.getfixturevalue(server).url if server else str(tmp_path / "pynenc.db")
    return Line(python=python, backend=backend, url=url, folder=tmp_path, app_id=app_id)


@pytest.fixture
def servers(line: Line, request: pytest.FixtureRequest) -> tuple[RedisServer | RabbitServer | MongoServer, ...]:
    """What can be stopped and started of the line's backend, of RabbitMQ both servers; SQLite has none."""
    names = {
        "redis": ("redis_server",),
        "rabbitmq": ("rabbitmq_server", "redis_server"),
        "mongodb": ("mongo_server",),
        "sqlite": (),
    }
    return tuple(map(request.getfixturevalue, names[line.backend]))


def redis_line(server: RedisServer, folder: Path, app_id: str) -> Line:
    return Line(python=Path(sys.executable), backend="redis", url=server.url, folder=folder, app_id=app_id)


def rabbitmq_line(server: RabbitServer, store: RedisServer, folder: Path, app_id: str) -> Line:
    url = server.url_of(vhost="shop")
    python = Path(sys.executable)
    return Line(python=python, backend="rabbitmq", url=url, folder=folder, app_id=app_id, store_url=store.url)


@pytest.fixture
def producer(line: Line) -> Iterator[Producer]:
    producer = Producer(line)
    yield producer
    producer.close()


@pytest.fixture
def granted_namespace(api: KubernetesApi, namespace: str) -> str:
    """A namespace whose pods may report."""
    grant(api, namespace)
    return namespace


type StartWorker = Callable[..., Worker]


@pytest.fixture
def start_worker(
    half_cluster: HalfCluster, api: KubernetesApi, granted_namespace: str, line: Line
) -> Iterator[StartWorker]:
    """Start a worker with a pod of its own; keyword arguments are more environment variables."""
    workers: list[Worker] = []

    def start(*, wrapper: tuple[str, ...] = (), deleted: bool = False, **settings: str) -> Worker:
        name = f"worker-{len(workers)}"
        pod = Pod(half_cluster, api, granted_namespace, name, line.folder / name)
        if deleted:
            pod.delete()
        workers.append(Worker(line, pod, api, wrapper=wrapper, **settings))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()
    show(workers)
