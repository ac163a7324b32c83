"""410 Gone: etcd has been compacted while the operator's watches were away, and with it what they have missed."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pynenc_operator import labels
from tests.cluster import kubeconfig
from tests.cluster.half_cluster import HalfCluster
from tests.e2e.faults.api_proxy import ApiProxy
from tests.integration.conftest import CRD_FILE, until_served
from tests.integration.operator.operator_process import Operator
from tests.integration.operator.pool_harness import manifest
from tests.integration.redis_server import RedisServer

type Json = dict[str, Any]

NAMESPACE = "compacted"
KEPT, REMOVED, ADDED = "kept", "removed", "added"  # runners
WITHIN = 30.0  # seconds from the fault's end, after which the pools have to be right
ROOT_KEY = "AA=="  # of etcd: the first one there can be


@pytest.fixture(scope="module")
def compactable() -> Iterator[HalfCluster]:
    """A half cluster whose watches are etcd's own: the API server keeps no history beside it."""
    with HalfCluster("--watch-cache=false") as cluster:
        cluster.kubectl("apply", "-f", str(CRD_FILE))
        until_served(cluster)
        cluster.create_namespace(NAMESPACE)
        yield cluster


@pytest.fixture
def proxy(compactable: HalfCluster) -> Iterator[ApiProxy]:
    """The operator's way to the API server."""
    cluster = compactable
    with ApiProxy(cluster.server, cluster.ca_file, "127.0.0.1", cluster.certificate, cluster.key) as proxy:
        yield proxy


@pytest.fixture
def operator(compactable: HalfCluster, proxy: ApiProxy, tmp_path: Path) -> Iterator[Operator]:
    """The operator, which takes that way."""
    server, user = f"https://127.0.0.1:{proxy.port}", {"token": compactable.admin_token}
    access = kubeconfig.write(
        tmp_path / "proxy.kubeconfig", server=server, authority=compactable.ca_file, user={**user}
    )
    operator = Operator(compactable, NAMESPACE, tmp_path, kubeconfig=access)
    try:
        yield operator
    finally:
        operator.end()


def compact(cluster: HalfCluster) -> None:
    """Let etcd forget all that has been, but for what is."""
    now = ask_etcd(cluster, "kv/range", {"key": ROOT_KEY})["header"]["revision"]
    ask_etcd(cluster, "kv/compaction", {"revision": now, "physical": True})


def ask_etcd(cluster: HalfCluster, path: str, body: Json) -> Json:
    with urllib.request.urlopen(f"{cluster.etcd}/v3/{path}", json.dumps(body).encode(), timeout=10) as answer:
        found: Json = json.load(answer)
        return found


def apply(cluster: HalfCluster, redis: RedisServer, name: str) -> None:
    runner = manifest(name, minReplicas=1, backend={"redis": {"url": redis.url}})
    cluster.kubectl("apply", "-n", NAMESPACE, "-f", "-", input=runner)


def pods(cluster: HalfCluster, runner: str) -> dict[str, str]:
    """The uids of a runner's pods, by name."""
    selector = ("-n", NAMESPACE, "-l", labels.workers_of(runner), "-o", "json")
    found = json.loads(cluster.kubectl("get", "pods", *selector).stdout)["items"]
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found}


@pytest.mark.fault("api-server", "etcd compacted while the operator's watches were cut off: 410 Gone")
def test_the_operator_lists_again_and_sees_what_its_watches_have_missed_for_ever(
    compactable: HalfCluster, proxy: ApiProxy, operator: Operator, redis: RedisServer
) -> None:
    cluster = compactable
    for name in (KEPT, REMOVED):
        apply(cluster, redis, name)
    for name in (KEPT, REMOVED):
        operator.until(f"a pod of {name}", lambda: len(pods(cluster, name)) == 1)  # noqa: B023 - called at once
    operator.until("two runners", lambda: operator.value("runners", runner_namespace=NAMESPACE) == 2)
    before = pods(cluster, KEPT)
    listed = lists(operator)
    assert proxy.break_watches() == 2
    cluster.kubectl("delete", "mtr", REMOVED, "-n", NAMESPACE)
    cluster.kubectl("delete", "pod", *before, *pods(cluster, REMOVED), "-n", NAMESPACE, "--force", "--grace-period=0")
    apply(cluster, redis, ADDED)
    compact(cluster)
    proxy.heal()
    operator.until("a pod of the new runner", lambda: len(pods(cluster, ADDED)) == 1, WITHIN)
    operator.until("another pod of the one that stays", lambda: new(before, pods(cluster, KEPT)), WITHIN)
    operator.until("two runners", lambda: operator.value("runners", runner_namespace=NAMESPACE) == 2, WITHIN)
    assert pods(cluster, REMOVED) == {}
    assert lists(operator) > listed
    assert "stopped leading" not in operator.log()  # a new leader would have watched anew
    assert "Traceback" not in operator.log()


def new(before: dict[str, str], now: dict[str, str]) -> bool:
    return len(now) == len(before) and not set(before.values()) & set(now.values())


def lists(operator: Operator) -> float:
    """How often the runners have been listed."""
    return operator.value("kube_api_requests_total", verb="list", resource=labels.PLURAL, code="200") or 0.0
