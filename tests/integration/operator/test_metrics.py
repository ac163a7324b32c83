"""What a running operator exports of a runner, from its first queued invocation to its deletion."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pynenc_worker import contract
from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.operator_process import WITHIN, Operator
from tests.integration.operator.pool_harness import manifest
from tests.integration.promtool import check_metrics
from tests.integration.redis_server import RedisServer
from tests.integration.worker.conftest import redis_line
from tests.integration.worker.processes import Producer


@pytest.fixture
def operator(crd_installed: HalfCluster, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    operator = Operator(crd_installed, namespace, tmp_path)
    yield operator
    operator.end()


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
    operator.until("by status", lambda: operator.of_runner("invocations", status="registered") == 3)
    assert operator.of_runner("invocations", status="running") == 0
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
