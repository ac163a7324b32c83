"""The operator itself with the chart's rights and no others: it does its work, and is refused nothing."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pynenc_worker import contract
from tests.cluster import kubeconfig
from tests.cluster.half_cluster import HalfCluster
from tests.integration.chart.caller import MERGE_PATCH, Caller
from tests.integration.chart.conftest import ONE_NAMESPACE, WATCHED, Release
from tests.integration.chart.rendering import RELEASE, Json, environment, render
from tests.integration.chart.rights import LEADING, SERVING, WORKERS, Right, used
from tests.integration.redis_server import RedisServer

PODS = f"/api/v1/namespaces/{WATCHED}/pods"
RUNNERS = f"/apis/pynenc.org/v1alpha1/namespaces/{WATCHED}/multithreadrunners"
WITHIN = 60.0  # seconds for a step of the operator

# Not met here: the API server asks for `bind` by itself, and a pod is read when its name was taken.
RARE: set[Right] = {
    ("bind", "rbac.authorization.k8s.io", "clusterroles", WORKERS),
    ("get", "", "pods", ""),
}


@pytest.fixture
def operator(serving_one: Release, half_cluster: HalfCluster, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The operator's process, configured by the chart's Deployment, as its ServiceAccount."""
    user = {"token": serving_one.operator.token}
    access = kubeconfig.write(
        tmp_path / "kubeconfig", server=half_cluster.server, authority=half_cluster.ca_file, user=user
    )
    objects = render("allowLocalBackends=true", f'watchNamespaces=["{WATCHED}"]', namespace=ONE_NAMESPACE)
    here = {"KUBECONFIG": str(access), "PYNENC_OPERATOR_PORT": "0", "PYNENC_OPERATOR_ADDRESS": "127.0.0.1"}
    with (tmp_path / "operator.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pynenc_operator"],
            cwd=tmp_path,
            env=os.environ | environment(objects) | here,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    yield process
    if process.poll() is None:
        process.kill()
        process.wait(timeout=10)


def until(what: str, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN
    while not happened():
        assert time.monotonic() < deadline, f"in {WITHIN:.0f} s: not {what}"
        time.sleep(0.1)


def workers(admin: Caller, runner: str) -> dict[str, Json]:
    """The pods of a runner, by name."""
    answer = admin.call("GET", f"{PODS}?labelSelector=pynenc.org/runner={runner}")
    return {pod["metadata"]["name"]: pod["metadata"].get("annotations", {}) for pod in answer.body["items"]}


def runner(name: str, replicas: int, **more: Json) -> Json:
    return {
        "apiVersion": "pynenc.org/v1alpha1",
        "kind": "MultiThreadRunner",
        "metadata": {"name": name},
        "spec": {
            "app": "reports.tasks",
            "appId": name,
            "image": "registry.example/reports:1",
            "backend": {"redis": {"urlFrom": {"secretKeyRef": {"name": "rights-redis", "key": "url"}}}},
            "minReplicas": replicas,
            "idleTimeoutSeconds": 1,
            **more,
        },
    }


def requests_of_the_operator(cluster: HalfCluster) -> list[Json]:
    """The API server's record of what this release's operator has asked for."""
    name = f"system:serviceaccount:{ONE_NAMESPACE}:{RELEASE}"
    lines = cluster.audit_log.read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["user"]["username"] == name]


def watched(requests: list[Json]) -> bool:
    """Whether both watches are recorded, which they are at their end."""
    resources = {right[2] for right in used(requests) if right[0] == "watch"}
    return resources == {"pods", "multithreadrunners"}


def test_it_does_its_work_with_them(
    operator: subprocess.Popen[bytes], redis: RedisServer, admin: Caller, half_cluster: HalfCluster, tmp_path: Path
) -> None:
    so_far = len(requests_of_the_operator(half_cluster))  # other tests try what is refused
    url = base64.b64encode(redis.url.encode()).decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rights-redis"}, "data": {"url": url}}
    assert admin.call("POST", f"/api/v1/namespaces/{WATCHED}/secrets", secret).code == 201
    template = {"spec": {"serviceAccountName": "default"}}  # a second subject in the workers' binding
    for body in (runner("rights", 2), runner("rights-own-account", 1, template=template)):
        answer = admin.call("POST", RUNNERS, body)
        assert answer.code == 201, answer.message
    until("two pods of one", lambda: set(workers(admin, "rights")) == {"rights-0", "rights-1"})
    until("a pod of the other", lambda: len(workers(admin, "rights-own-account")) == 1)

    # What the workers would say: idle for long. Then nobody wants them any more.
    idle = {contract.WORKER_STATE: "idle", contract.WORKER_STATE_SINCE: datetime.now(UTC).isoformat()}
    for pod in workers(admin, "rights"):
        assert admin.patch_status(WATCHED, pod, {"metadata": {"annotations": idle}}).code == 200
    patch = {"spec": {"minReplicas": 0}}
    for name in ("rights", "rights-own-account"):
        assert admin.call("PATCH", f"{RUNNERS}/{name}", patch, content_type=MERGE_PATCH).code == 200
    until("a drain asked of each", lambda: all(contract.DRAIN_REQUEST in a for a in workers(admin, "rights").values()))
    for pod, annotations in workers(admin, "rights").items():
        drained = {contract.WORKER_STATE: "drained", contract.DRAIN_ANSWER: annotations[contract.DRAIN_REQUEST]}
        assert admin.patch_status(WATCHED, pod, {"metadata": {"annotations": drained}}).code == 200
    until("no pod left", lambda: not workers(admin, "rights") and not workers(admin, "rights-own-account"))

    operator.terminate()
    assert operator.wait(timeout=30) == 0, (tmp_path / "operator.log").read_text()
    until("its watches in the record", lambda: watched(requests_of_the_operator(half_cluster)[so_far:]))
    requests = requests_of_the_operator(half_cluster)[so_far:]
    assert [r for r in requests if r["responseStatus"]["code"] in {401, 403}] == []
    assert used(requests) - (SERVING | LEADING) == set()
    assert (SERVING | LEADING) - RARE - used(requests) == set()
