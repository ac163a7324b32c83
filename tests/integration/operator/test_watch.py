"""The watch of a real API server, as metrics tell of it."""

import asyncio
import gc
import json
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pynenc_operator import labels, watchtrace
from pynenc_operator.clock import Clock
from pynenc_operator.handlers import Watch
from pynenc_operator.kube_connection import Connection
from pynenc_operator.model import Key
from pynenc_operator.podcache import PodCache
from pynenc_operator.podwatch import PodWatch
from pynenc_operator.watchtrace import WatchTrace
from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.conftest import worker_pod
from tests.integration.operator.operator_process import Operator
from tests.integration.operator.pool_harness import manifest
from tests.integration.operator.tcp_proxy import TcpProxy, kubeconfig_through, proxy_to

WITHIN = 60.0
BOTH = {"pods", labels.PLURAL}


class Watched:
    """A watch by way of a proxy, and what it has told."""

    def __init__(self, cluster: HalfCluster, proxy: TcpProxy, namespace: str) -> None:
        self.proxy = proxy
        self.begun: Counter[tuple[str, bool]] = Counter()  # by resource, and whether it was begun again
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.pods = PodCache()
        self._cluster = cluster
        self._namespace = namespace

    def on_request(self, verb: str, resource: str, code: str, _: float) -> None:
        self.requests[verb, resource, code] += 1

    def on_watch(self, resource: str, *, restarted: bool) -> None:
        self.begun[resource, restarted] += 1

    async def list_runners(self, _namespace: str | None) -> None:
        raise AssertionError("nothing that was missed is to be listed here")

    async def until(self, what: str, happened: Callable[[], bool], within: float = WITHIN) -> None:
        ends = time.monotonic() + within
        while not happened():
            assert time.monotonic() < ends, f"in {within:.0f} s: not {what}"
            await asyncio.sleep(0.1)

    async def until_all(self, *, again: bool, within: float = WITHIN) -> None:
        """Wait until both watches have begun, or begun again."""
        await self.until(
            "both watches", lambda: {r for r, restarted in self.begun if restarted == again} == BOTH, within
        )

    async def until_a_new_pod_is_seen(self, name: str, within: float = WITHIN) -> None:
        pod = json.dumps(worker_pod(name))
        await asyncio.to_thread(self._cluster.kubectl, "create", "-n", self._namespace, "-f", "-", input=pod)
        key = Key(self._namespace, "reports")
        await self.until(f"the pod {name}", lambda: name in {pod.name for pod in self.pods.of(key)}, within)


@pytest.fixture
async def watched(
    crd_installed: HalfCluster,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Watched]:
    async with proxy_to(crd_installed) as proxy:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig_through(crd_installed, proxy, tmp_path)))
        told = Watched(crd_installed, proxy, namespace)
        connection = await Connection.open(Clock(), told.on_request)
        watch = Watch(
            login=connection.login,
            on_runner=lambda _: None,
            namespaces=(namespace,),
            relaxed_x509=False,
            trace=WatchTrace(told.on_request, told.on_watch),
        )
        pods = PodWatch(
            connection, (namespace,), told.pods, lambda: 0.0, lambda _: None, told.on_watch, told.list_runners
        )
        running = [asyncio.create_task(each.run()) for each in (watch, pods)]
        try:
            yield told
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await connection.close()
            del watch, pods, running, task
            with warnings.catch_warnings(action="ignore", category=ResourceWarning):
                gc.collect()  # kopf leaves its streams to the garbage collector: not in the midst of another test


async def test_a_watch_that_is_broken_off_goes_on_and_is_counted(watched: Watched) -> None:
    await watched.until_all(again=False)
    assert set(watched.begun) == {(resource, False) for resource in BOTH}
    watched.proxy.close_connections()
    await watched.until_all(again=True)
    await watched.until_a_new_pod_is_seen("reports-0")
    assert {("list", resource, "200") for resource in BOTH} <= set(watched.requests)
    assert {("watch", resource, "200") for resource in BOTH} <= set(watched.requests)
    assert {verb for verb, _, _ in watched.requests} == {"list", "watch", "get"}


# As the chart starts it, but for the patience with a silent watch.
PROGRAM = "from pynenc_operator import __main__, watchtrace; watchtrace.SILENT_SECONDS = {}; __main__.main()"


@pytest.mark.parametrize("silent", [8.0, pytest.param(watchtrace.SILENT_SECONDS, marks=pytest.mark.slow)])
async def test_a_watch_on_which_nothing_comes_any_more_is_noticed_and_the_operator_goes_on(
    silent: float, crd_installed: HalfCluster, namespace: str, tmp_path: Path
) -> None:
    def runners() -> float | None:
        return operator.value("runners", runner_namespace=namespace)

    async with proxy_to(crd_installed) as proxy:
        access = kubeconfig_through(crd_installed, proxy, tmp_path)
        operator = Operator(crd_installed, namespace, tmp_path, ("-c", PROGRAM.format(silent)), access)
        try:
            await apply(crd_installed, namespace, "before")
            await asyncio.to_thread(operator.until, "one runner", lambda: runners() == 1)
            proxy.swallow_open_connections()
            await apply(crd_installed, namespace, "meanwhile")
            within = max(WITHIN, silent + 10)
            await asyncio.to_thread(operator.until, "two runners", lambda: runners() == 2, within)
            assert "stopped leading" not in operator.log()  # a new leader would have watched anew
        finally:
            operator.end()


async def apply(cluster: HalfCluster, namespace: str, name: str) -> None:
    await asyncio.to_thread(cluster.kubectl, "apply", "-n", namespace, "-f", "-", input=manifest(name))
