"""What a running operator exports of a runner, from its first queued invocation to its deletion."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pynenc_worker import contract
from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.pool_harness import manifest
from tests.integration.promtool import check_metrics
from tests.integration.redis_server import RedisServer
from tests.integration.worker.conftest import redis_line
from tests.integration.worker.processes import Producer

WITHIN = 90.0  # seconds for a step of the operator, on a loaded machine


class Operator:
    """The operator's process, as the administrator, for one namespace."""

    def __init__(self, cluster: HalfCluster, namespace: str, folder: Path) -> None:
        self.namespace = namespace
        self._log = folder / "operator.log"
        settings = {
            "KUBECONFIG": str(cluster.kubeconfig),
            "PYNENC_OPERATOR_WATCH_NAMESPACES": namespace,
            "PYNENC_OPERATOR_LEASE_NAMESPACE": namespace,
            "PYNENC_OPERATOR_WORKER_CLUSTER_ROLE": "workers",
            "PYNENC_OPERATOR_ALLOW_LOCAL_BACKENDS": "true",
            "PYNENC_OPERATOR_ADDRESS": "127.0.0.1",
            "PYNENC_OPERATOR_PORT": "0",
        }
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pynenc_operator"],
                cwd=folder,
                env=os.environ | settings,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def scrape(self) -> str:
        """What /metrics says; empty before it can be asked."""
        assert self.process.poll() is None, self._log.read_text()
        port = re.search(r"metrics on port (\d+)", self._log.read_text())
        if not port:
            return ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/metrics", timeout=10) as answer:
                text: str = answer.read().decode()
                return text
        except urllib.error.URLError:
            return ""

    def of_runner(self, name: str, **labels: str) -> float | None:
        """One sample of the runner; None if there is none."""
        return self.value(name, runner="reports", runner_namespace=self.namespace, **labels)

    def value(self, name: str, **labels: str) -> float | None:
        """One sample; None if there is none."""
        shown = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        found = re.search(rf"^pynenc_operator_{re.escape(f'{name}{{{shown}}}')} (\S+)$", self.scrape(), re.MULTILINE)
        return float(found[1]) if found else None

    def until(self, what: str, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WITHIN
        while not happened():
            assert time.monotonic() < deadline, f"in {WITHIN:.0f} s: not {what}\n{self._log.read_text()}"
            time.sleep(0.2)


@pytest.fixture
def operator(crd_installed: HalfCluster, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    operator = Operator(crd_installed, namespace, tmp_path)
    yield operator
    if operator.process.poll() is None:
        operator.process.kill()
        operator.process.wait(timeout=10)


def report_idle(cluster: HalfCluster, namespace: str, pod: str) -> None:
    """Play the kubelet and the worker."""
    container = {"name": "worker", "state": {"running": {}}, "ready": True, "restartCount": 0, "image": "x"}
    annotations = {contract.WORKER_STATE: "idle", contract.WORKER_STATE_SINCE: datetime.now(UTC).isoformat()}
    patch: dict[str, Any] = {
        "metadata": {"annotations": annotations},
        "status": {"phase": "Running", "containerStatuses": [{**container, "imageID": ""}]},
    }
    cluster.kubectl(
        "patch", "pod", pod, "-n", namespace, "--subresource=status", "--type=merge", f"--patch={json.dumps(patch)}"
    )


def test_a_runners_story_can_be_read_until_it_is_deleted(
    operator: Operator, crd_installed: HalfCluster, redis: RedisServer, tmp_path: Path
) -> None:
    producer = Producer(redis_line(redis, tmp_path, "metrics"))
    try:
        for number in range(3):
            producer.call("nap", name=str(number), seconds=0.1)
    finally:
        producer.close()
    spec: dict[str, Any] = {"appId": "metrics", "backend": {"redis": {"url": redis.url}}, "maxReplicas": 2}
    crd_installed.kubectl("apply", "-n", operator.namespace, "-f", "-", input=manifest(**spec))
    operator.until("two pods", lambda: operator.of_runner("runner_pods", state="pending") == 2)
    report_idle(crd_installed, operator.namespace, "reports-0")
    operator.until("a worker seen", lambda: operator.of_runner("runner_pods", state="idle") == 1)

    assert operator.of_runner("pods_created_total") == 2
    assert operator.of_runner("scale_decisions_total", direction="up", reason="QueueDepth") == 1
    assert operator.of_runner("scale_decisions_total", direction="hold", reason="MaxReplicas") == 1
    assert operator.of_runner("queue_depth") == 3
    oldest = operator.of_runner("queue_oldest_age_seconds")
    assert oldest is not None
    assert 0 < oldest < WITHIN
    latency = operator.of_runner("scale_up_latency_seconds_sum")
    assert latency is not None
    assert 0 < latency < WITHIN
    assert operator.of_runner("scale_up_latency_seconds_count") == 1
    assert operator.of_runner("runner_condition", type="Ready", status="True") == 1
    assert operator.value("kube_api_requests_total", verb="create", resource="pods", code="201")
    for resource in ("pods", "multithreadrunners"):
        watch = {"verb": "watch", "resource": resource, "code": "200"}
        assert operator.value("kube_api_requests_total", **watch) == 1
        assert operator.value("watch_restarts_total", resource=resource) == 0
    check_metrics(operator.scrape())

    crd_installed.kubectl("delete", "multithreadrunner", "reports", "-n", operator.namespace)
    operator.until("nothing of it", lambda: 'runner="reports"' not in operator.scrape())
    assert "pynenc_operator_leader 1.0" in operator.scrape()
    operator.process.terminate()
    assert operator.process.wait(timeout=30) == 0
