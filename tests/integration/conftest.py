"""One half cluster (real etcd and kube-apiserver) for all integration tests of a run."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.half_cluster import HalfCluster
from tests.cluster.paths import ROOT
from tests.integration.mongo_server import MongoServer
from tests.integration.rabbitmq_server import RabbitServer
from tests.integration.redis_server import RedisServer

CRD_FILE = ROOT / "crds" / "multithreadrunners.pynenc.org.yaml"
SERVED_WITHIN = 30.0  # seconds

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def half_cluster() -> Iterator[HalfCluster]:
    """etcd and an API server. What a test makes in it stays there: use names or a namespace of its own."""
    with HalfCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def crd_installed(half_cluster: HalfCluster) -> HalfCluster:
    """The half cluster, once it serves MultiThreadRunners."""
    half_cluster.kubectl("apply", "-f", str(CRD_FILE))
    until_served(half_cluster)
    return half_cluster


def until_served(cluster: HalfCluster) -> None:
    """Wait until the API server serves a definition that has just been applied."""
    deadline = time.monotonic() + SERVED_WITHIN
    # Not `kubectl wait`: it fails on a definition that has no conditions yet. The schema is published last.
    while (answer := cluster.kubectl("explain", "multithreadrunners.spec", check=False)).returncode:
        assert time.monotonic() < deadline, answer.stderr
        time.sleep(0.2)
    cluster.kubectl("get", "multithreadrunners")


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """An empty Redis."""
    with RedisServer.running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """One RabbitMQ for all tests, as it takes some seconds to start; each has a queue prefix of its own in it."""
    with RabbitServer.running(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@pytest.fixture(scope="session")
def mongo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """One server for all tests that need one; each has an app id of its own in it."""
    with MongoServer.running(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture(scope="session")
def next_python() -> Path:
    """The interpreter of requirements/worker-next.txt: the next line of pynenc."""
    return interpreter_of("next")


@pytest.fixture(scope="session")
def mongodb_python() -> Path:
    """The interpreter of requirements/worker-mongodb.txt: its plugin needs another client than the operator has."""
    return interpreter_of("mongodb")


def interpreter_of(name: str) -> Path:
    """The interpreter of an environment that `make env` makes beside the main one."""
    python = ROOT / f".venv-{name}" / "bin" / "python"
    assert python.exists(), f"{python} is missing: `make env` makes it"
    return python


@pytest.fixture
def namespace(half_cluster: HalfCluster) -> str:
    """A new namespace, with its `default` ServiceAccount."""
    name = f"test-{next(_numbers)}"
    half_cluster.create_namespace(name)
    return name
