"""Annotations on worker pods that nobody here would write, on a real API server and the operator's own process."""

from typing import Any

import pytest

from pynenc_worker import contract
from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.operator_process import Operator
from tests.integration.operator.pool_harness import manifest
from tests.integration.operator.rest import Api
from tests.integration.redis_server import RedisServer

type Json = dict[str, Any]

HOSTILE: tuple[dict[str, str], ...] = (
    {contract.WORKER_STATE_SINCE: "noon"},
    {contract.WORKER_STATE_SINCE: "9999-12-31T23:59:59Z"},
    {contract.WORKER_STATE_SINCE: "0001-01-01T00:00:00Z"},
    {contract.ACTIVE_INVOCATIONS: "-" + "9" * 4000},
    {contract.ACTIVE_INVOCATIONS: "NaN"},
    {contract.ACTIVE_INVOCATIONS: "9" * 5000},
    {contract.WORKER_STATE: "asleep"},
    {contract.WORKER_STATE: ""},
    {contract.WORKER_STATE: "x" * 200_000},
    {contract.RECOVERED_RUNNERS: "a " * 50_000},
    {contract.RECOVER_RUNNERS: "\u202e\u0000 \u2028"},
    {contract.RECOVERED_BY: "reports-1"},
    {contract.DRAIN_ANSWER: "idle.1"},
    {contract.DRAIN_REQUEST: "idle.1", contract.DRAIN_ANSWER: "idle.1"},
    {contract.DRAIN_REQUEST: "hanging." + "9" * 400},
    {contract.DRAIN_REQUEST: "x" * 200_000},
)
BUSY = {contract.WORKER_STATE: "active", contract.ACTIVE_INVOCATIONS: "1"}


def play(api: Api, pod: str, notes: dict[str, str | None]) -> None:
    """Play the kubelet, which says that the worker runs, and the worker or a stranger, who annotates its pod."""
    container = {
        "name": "worker",
        "state": {"running": {}},
        "ready": True,
        "restartCount": 0,
        "image": "",
        "imageID": "",
    }
    status = {"phase": "Running", "containerStatuses": [container]}
    code, answer = api.ask("PATCH", f"{api.pods}/{pod}/status", {"metadata": {"annotations": notes}, "status": status})
    assert code == 200, answer


@pytest.mark.fault("input", "huge, negative, future and forged annotations on a busy pod")
def test_they_end_no_busy_worker_and_disturb_nobody(
    operator: Operator, api: Api, crd_installed: HalfCluster, redis: RedisServer
) -> None:
    for name in ("reports", "good"):
        mine = manifest(
            name, backend={"redis": {"url": redis.url}}, minReplicas=1, maxReplicas=2, drainTimeoutSeconds=1
        )
        crd_installed.kubectl("apply", "-n", operator.namespace, "-f", "-", input=mine)
    for name in ("reports", "good"):
        operator.until(f"{name}-0 is there", lambda: api.ask("GET", f"{api.pods}/{name}-0")[0] == 200)  # noqa: B023
        since = api.ask("GET", f"{api.pods}/{name}-0")[1]["metadata"]["creationTimestamp"]
        play(api, f"{name}-0", {**BUSY, contract.WORKER_STATE_SINCE: since})
    operator.until("both are counted as active", lambda: all(is_active(api, name) for name in ("reports", "good")))
    before = uids(api)
    for notes in HOSTILE:
        play(api, "reports-0", dict(notes))
        for name in ("reports", "good"):
            generation = api.touch(name)
            operator.until(f"{name} is looked at", lambda: api.observed(name) == generation)  # noqa: B023
        assert uids(api) == before, notes
        play(api, "reports-0", {**dict.fromkeys(notes), **BUSY, contract.WORKER_STATE_SINCE: since})
    operator.until("both are active", lambda: all(is_active(api, name) for name in ("reports", "good")))
    assert "Traceback" not in operator.log()


def is_active(api: Api, name: str) -> bool:
    return bool(api.runner(name).get("status", {}).get("activeReplicas") == 1)


def uids(api: Api) -> set[str]:
    """Of the pods that nobody has deleted."""
    found = api.ask("GET", api.pods)[1]["items"]
    return {pod["metadata"]["uid"] for pod in found if "deletionTimestamp" not in pod["metadata"]}
