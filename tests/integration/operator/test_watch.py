"""The watch of a real API server, as metrics tell of it."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pynenc_operator import labels
from pynenc_operator.clock import Clock
from pynenc_operator.handlers import Watch
from pynenc_operator.kube_connection import Connection
from pynenc_operator.watchtrace import WatchTrace
from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.conftest import worker_pod
from tests.integration.operator.tcp_proxy import kubeconfig_through, proxy_to

WITHIN = 60.0
BOTH = {"pods", labels.PLURAL}


async def test_a_watch_that_is_broken_off_goes_on_and_is_counted(
    crd_installed: HalfCluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: Counter[tuple[str, bool]] = Counter()
    requests: Counter[tuple[str, str, str]] = Counter()
    seen: list[str] = []

    def on_watch(resource: str, *, restarted: bool) -> None:
        begun[resource, restarted] += 1

    async def until(what: str, happened: Any) -> None:
        ends = time.monotonic() + WITHIN
        while not happened():
            assert time.monotonic() < ends, f"in {WITHIN:.0f} s: not {what}"
            await asyncio.sleep(0.1)

    async with proxy_to(crd_installed) as proxy:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig_through(crd_installed, proxy, tmp_path)))
        connection = await Connection.open(Clock(), lambda *_: None)
        watch = Watch(
            login=connection.login,
            on_runner=lambda _: None,
            on_pod=lambda event: seen.append(event["object"]["metadata"]["name"]),
            namespaces=(namespace,),
            relaxed_x509=False,
            trace=WatchTrace(lambda verb, resource, code, _: requests.update([(verb, resource, code)]), on_watch),
        )
        running = asyncio.create_task(watch.run())
        try:
            await until("both watches", lambda: {resource for resource, _ in begun} == BOTH)
            assert set(begun) == {(resource, False) for resource in BOTH}
            proxy.close_connections()
            await until("both again", lambda: {resource for resource, again in begun if again} == BOTH)
            crd_installed.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(worker_pod("reports-0")))
            await until("the pod that came since", lambda: "reports-0" in seen)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await connection.close()
    assert {("list", resource, "200") for resource in BOTH} <= set(requests)
    assert {("watch", resource, "200") for resource in BOTH} <= set(requests)
    assert {verb for verb, _, _ in requests} == {"list", "watch", "get"}
