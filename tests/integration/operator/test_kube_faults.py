"""Requests on connections that break: how long they take, and what is sent twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pynenc_operator import labels
from pynenc_operator.clock import Clock
from pynenc_operator.kube import Kube, Unavailable
from pynenc_operator.kube_connection import Connection
from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.conftest import worker_pod
from tests.integration.operator.tcp_proxy import TcpProxy, kubeconfig_through, proxy_to

type Json = dict[str, Any]
type CreateWorker = Callable[[str], Awaitable[Json]]


class Proxied:
    def __init__(self, proxy: TcpProxy, connection: Connection, codes: list[tuple[str, str]]) -> None:
        self.proxy = proxy
        self.connection = connection
        self.kube = Kube(connection)
        self.codes = codes


@pytest.fixture
async def proxied(
    crd_installed: HalfCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Proxied]:
    codes: list[tuple[str, str]] = []
    async with proxy_to(crd_installed) as proxy:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig_through(crd_installed, proxy, tmp_path)))
        connection = await Connection.open(Clock(), lambda verb, _resource, code, _seconds: codes.append((verb, code)))
        yield Proxied(proxy, connection, codes)
        await connection.close()


async def test_a_black_hole_ends_at_the_deadline(proxied: Proxied, namespace: str) -> None:
    await proxied.kube.list_pods(namespace, labels.ALL_WORKERS)
    proxied.proxy.vanish()
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"get leases/.*/operator: Timeout: no answer within 1\.[0-9] s"):
        await proxied.kube.get_lease(namespace, "operator", deadline=1.0)
    assert time.monotonic() - began == pytest.approx(1.0, abs=0.3)
    proxied.proxy.appear()
    assert await proxied.kube.list_pods(namespace, labels.ALL_WORKERS) == []


async def test_a_server_that_comes_back_within_the_deadline_is_read_from(proxied: Proxied, namespace: str) -> None:
    proxied.proxy.vanish()
    reading = asyncio.create_task(proxied.kube.list_pods(namespace, labels.ALL_WORKERS))
    await asyncio.sleep(0.5)
    proxied.proxy.appear()
    assert await reading == []
    assert ("list", "connection") in proxied.codes


async def test_a_closed_connection_does_not_lose_a_deletion(
    proxied: Proxied, namespace: str, create_worker: CreateWorker
) -> None:
    pod = await create_worker("reports-0")
    await proxied.kube.list_pods(namespace, labels.ALL_WORKERS)
    proxied.proxy.close_connections()
    meta = pod["metadata"]
    await proxied.kube.delete_pod(namespace, "reports-0", meta["uid"], meta["resourceVersion"])
    assert await proxied.kube.list_pods(namespace, labels.ALL_WORKERS) == []


async def test_a_creation_of_unknown_fate_is_not_sent_again(proxied: Proxied, namespace: str) -> None:
    await proxied.kube.list_pods(namespace, labels.ALL_WORKERS)
    proxied.proxy.vanish()
    creating = asyncio.create_task(proxied.kube.create_pod(namespace, worker_pod("reports-0")))
    await asyncio.sleep(0.3)
    proxied.proxy.appear()
    with pytest.raises(Unavailable, match=f"create pods/{namespace}/reports-0"):
        await creating
    assert [verb for verb, _ in proxied.codes].count("create") == 1


async def test_a_refused_port_is_unavailable_and_says_where(
    crd_installed: HalfCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with proxy_to(crd_installed) as proxy:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig_through(crd_installed, proxy, tmp_path)))
        port = proxy.port
    connection = await Connection.open(Clock(), lambda *_: None)
    try:
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
            await Kube(connection).list_runners(None)
    finally:
        await connection.close()
