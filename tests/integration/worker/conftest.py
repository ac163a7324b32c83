"""Each test runs on each line: pynenc 0.3.1 on Redis and on MongoDB's protocol, and the next pynenc on SQLite."""

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.half_cluster import HalfCluster
from tests.integration.conftest import environment_of
from tests.integration.mongo_server import MongoServer
from tests.integration.redis_server import RedisServer
from tests.integration.worker.kubernetes_api import KubernetesApi
from tests.integration.worker.pod import Pod, grant
from tests.integration.worker.processes import Line, Producer, Worker, show

_apps = itertools.count(1)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for all tests; each has an app id of its own in it."""
    with RedisServer.running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def next_python() -> Path:
    """The interpreter of requirements/worker-next.txt, which `make env` makes beside the main environment."""
    return environment_of("worker-next", os.environ.get("PYNENC_OPERATOR_NEXT_PYTHON"))


@pytest.fixture(scope="session")
def api(half_cluster: HalfCluster) -> KubernetesApi:
    return KubernetesApi(half_cluster)


@pytest.fixture(params=["pynenc-0.3-redis", "pynenc-0.3-mongodb", "pynenc-next-sqlite"])
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Line:
    """Where this test's app lives."""
    app_id = f"app{next(_apps)}"
    if request.param == "pynenc-0.3-redis":
        return redis_line(request.getfixturevalue("redis_server"), tmp_path, app_id)
    if request.param == "pynenc-0.3-mongodb":
        python, url = request.getfixturevalue("mongodb_python"), request.getfixturevalue("mongo_server").url
        return Line(python=python, backend="mongodb", url=url, folder=tmp_path, app_id=app_id)
    python = request.getfixturevalue("next_python")
    return Line(python=python, backend="sqlite", url=str(tmp_path / "pynenc.db"), folder=tmp_path, app_id=app_id)


@pytest.fixture
def server(line: Line, request: pytest.FixtureRequest) -> RedisServer | MongoServer | None:
    """What can be stopped and started; SQLite has none."""
    name = {"redis": "redis_server", "mongodb": "mongo_server"}.get(line.backend)
    return request.getfixturevalue(name) if name else None


def redis_line(server: RedisServer, folder: Path, app_id: str) -> Line:
    return Line(python=Path(sys.executable), backend="redis", url=server.url, folder=folder, app_id=app_id)


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
