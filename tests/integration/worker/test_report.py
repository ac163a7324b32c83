"""What stands on the pod, and what it costs."""

import json
import time
from datetime import UTC, datetime

from pynenc_worker import contract
from tests.cluster.half_cluster import HalfCluster
from tests.integration.promtool import check_metrics
from tests.integration.worker.conftest import StartWorker
from tests.integration.worker.kubernetes_api import KubernetesApi
from tests.integration.worker.pod import bind, unbind
from tests.integration.worker.processes import Line, Producer, eventually


def test_one_busy_spell_costs_four_writes(
    start_worker: StartWorker, producer: Producer, line: Line, half_cluster: HalfCluster
) -> None:
    worker = start_worker()
    worker.says("idle")
    producer.call("hold", name="a")
    worker.says("active")
    active = worker.pod.annotations()
    line.open_gate("a")
    worker.says("idle")
    ended = datetime.fromisoformat(worker.pod.annotations()[contract.WORKER_STATE_SINCE])
    worker.pod.request(contract.DRAIN_REQUEST, "drain-1")
    worker.says("drained")
    assert worker.pod.annotations()[contract.DRAIN_ANSWER] == "drain-1"
    worker.sigterm()
    assert worker.exit_code() == 0
    assert worker.pod.said() == ["idle", "active", "idle", "drained"]
    assert _writes(half_cluster, worker.pod.namespace) == 4
    assert active[contract.ACTIVE_INVOCATIONS] == "1"
    assert (active[contract.SAFE_TO_EVICT], active[contract.DO_NOT_DISRUPT]) == ("false", "true")
    assert set(active) <= set(contract.WORKER_WRITES)
    assert all(len(value) <= 64 for value in active.values())
    # Idle since the last thread ended, not since it was told; the spell was short, so that was 5 s later.
    assert (datetime.now(UTC) - ended).total_seconds() > 5
    # pynenc's core tasks did not come as queue items: there was only ever what the producer enqueued.
    assert (producer("queued"), producer("registered")) == (0, 1)


def _writes(cluster: HalfCluster, namespace: str) -> int:
    user = f"system:serviceaccount:{namespace}:default"
    entries = (json.loads(line) for line in cluster.audit_log.read_text().splitlines())
    return sum(entry["user"]["username"] == user and entry["verb"] == "patch" for entry in entries)


def test_nothing_is_taken_before_the_first_report_is_accepted(
    start_worker: StartWorker, producer: Producer, line: Line, api: KubernetesApi, granted_namespace: str
) -> None:
    unbind(api, granted_namespace)
    producer.call("nap", name="a", seconds=0.1)
    worker = start_worker()
    eventually(lambda: "the report is refused (HTTP 403" in worker.log(), "the refusal is in the log")
    time.sleep(2)
    assert line.executions() == []
    assert producer("queued") == 1
    bind(api, granted_namespace)
    eventually(lambda: line.executions("end") == ["a"], "the task runs once the report is accepted")
    assert worker.pod.said()[0] == "idle"


def test_a_worker_with_a_bound_token_reports_only_on_its_own_pod(
    start_worker: StartWorker, api: KubernetesApi, granted_namespace: str
) -> None:
    worker = start_worker()
    worker.says("idle")
    worker.kill()
    path = f"/api/v1/namespaces/{granted_namespace}/pods/{worker.pod.name}"
    api.request("DELETE", path, {"gracePeriodSeconds": 0})
    second = start_worker(POD_NAME=worker.pod.name, POD_UID=worker.pod.uid)  # a name that another pod may get again
    eventually(lambda: "the report is refused (HTTP 404" in second.log(), "a pod that is gone is not written")


def test_metrics_and_health_can_be_asked(start_worker: StartWorker, producer: Producer) -> None:
    worker = start_worker()
    invocation = producer.call("nap", name="a", seconds=0.2)
    eventually(lambda: producer.succeeded(invocation), "the task succeeds")
    eventually(
        lambda: 'pynenc_worker_invocations_total{status="success"} 1.0' in worker.get("/metrics")[1], "it is counted"
    )
    text = worker.get("/metrics")[1]
    assert "pynenc_worker_invocation_run_seconds_count 1.0" in text
    assert "pynenc_worker_invocation_wait_seconds_count 1.0" in text
    assert 'pynenc_worker_state{state="active"} 1.0' in text
    check_metrics(text)
    assert worker.get("/healthz") == (200, "ok\n")
    assert worker.get("/")[0] == 404
