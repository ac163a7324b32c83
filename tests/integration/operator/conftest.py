"""The operator's I/O against a real API server: connections to it, and pods to write to."""

import contextlib
import copy
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pynenc_operator.clock import Clock
from pynenc_operator.kube import Kube
from pynenc_operator.kube_connection import Connection
from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.operator_process import Operator
from tests.integration.operator.rest import Api

type Json = dict[str, Any]

WORKER_LABELS = {"app.kubernetes.io/managed-by": "pynenc-operator", "pynenc.org/runner": "reports"}
RUNNER: Json = {
    "apiVersion": "pynenc.org/v1alpha1",
    "kind": "MultiThreadRunner",
    "metadata": {"name": "reports"},
    "spec": {
        "app": "reports.tasks",
        "appId": "reports",
        "image": "localhost/none:1",
        "backend": {"redis": {"url": "redis://redis:6379"}},
    },
}


@contextlib.asynccontextmanager
async def opened[C: Connection](
    kind: type[C], cluster: HalfCluster, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[C]:
    """A connection of some kind, as the administrator."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    connection = await kind.open(Clock(), lambda *_: None)
    yield connection
    await connection.close()


@pytest.fixture
async def connection(crd_installed: HalfCluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connection]:
    """A connection as the administrator; `requests` of `connection` below are not recorded here."""
    async with opened(Connection, crd_installed, monkeypatch) as connection:
        yield connection


@pytest.fixture
def kube(connection: Connection) -> Kube:
    return Kube(connection)


@pytest.fixture
def create_worker(kube: Kube, namespace: str) -> Callable[[str], Awaitable[Json]]:
    """Make a pod that looks like a worker of the runner `reports`."""

    async def create(name: str) -> Json:
        return await kube.create_pod(namespace, worker_pod(name))

    return create


@pytest.fixture
def api(crd_installed: HalfCluster, namespace: str) -> Iterator[Api]:
    api = Api(crd_installed, namespace)
    yield api
    api.close()


@pytest.fixture
def operator(crd_installed: HalfCluster, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    crd_installed.kubectl("create", "clusterrole", "workers", "--verb=get", "--resource=pods", check=False)
    operator = Operator(crd_installed, namespace, tmp_path)
    yield operator
    operator.end()


@pytest.fixture
def black_hole() -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}"


def worker_pod(name: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(WORKER_LABELS)},
        "spec": {"containers": [{"name": "worker", "image": "localhost/none:1"}]},
    }


def runner(name: str = "reports", **spec: Any) -> Json:
    body = copy.deepcopy(RUNNER)
    body["metadata"]["name"] = name
    body["spec"] |= spec
    return body
