"""The client against a real API server: what succeeds, and what each refusal becomes."""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pynenc_operator import kube_connection, kube_list, labels
from pynenc_operator.clock import Clock
from pynenc_operator.events import event
from pynenc_operator.kube import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    Kube,
    KubeError,
    NotFound,
    Unavailable,
)
from pynenc_operator.kube_connection import Connection
from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.conftest import runner, worker_pod

type Json = dict[str, Any]
type CreateWorker = Callable[[str], Awaitable[Json]]

SELECTOR = labels.workers_of("reports")


def version(pod: Json) -> str:
    text: str = pod["metadata"]["resourceVersion"]
    return text


async def test_a_list_has_what_the_selector_chooses_and_all_of_it(
    kube: Kube, namespace: str, create_worker: CreateWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_list, "LIST_LIMIT", 2)
    for number in range(5):
        await create_worker(f"reports-{number}")
    other = worker_pod("other")
    other["metadata"]["labels"]["pynenc.org/runner"] = "other"
    await kube.create_pod(namespace, other)
    pods = await kube.list_pods(namespace, SELECTOR)
    assert [pod["metadata"]["name"] for pod in pods] == [f"reports-{number}" for number in range(5)]


async def test_a_deletion_is_refused_when_the_pod_has_changed_or_is_another(
    kube: Kube, namespace: str, create_worker: CreateWorker
) -> None:
    pod = await create_worker("reports-0")
    uid = pod["metadata"]["uid"]
    changed = await kube.patch_pod_annotations(namespace, "reports-0", version(pod), {"pynenc.org/drain-request": "x"})
    with pytest.raises(Conflict):
        await kube.delete_pod(namespace, "reports-0", uid, version(pod))
    with pytest.raises(Conflict):
        await kube.delete_pod(namespace, "reports-0", "00000000-0000-0000-0000-000000000000", version(changed))
    assert version(await kube.get_pod(namespace, "reports-0")) == version(changed)
    await kube.delete_pod(namespace, "reports-0", uid, version(changed))
    with pytest.raises(NotFound):
        await kube.get_pod(namespace, "reports-0")


async def test_annotations_are_set_and_removed_and_nothing_else_changes(
    kube: Kube, namespace: str, create_worker: CreateWorker
) -> None:
    pod = await create_worker("reports-0")
    set_ = await kube.patch_pod_annotations(namespace, "reports-0", version(pod), {"pynenc.org/drain-request": "x"})
    assert set_["metadata"]["annotations"] == {"pynenc.org/drain-request": "x"}
    removed = await kube.patch_pod_annotations(
        namespace, "reports-0", version(set_), {"pynenc.org/drain-request": None}
    )
    assert removed["metadata"].get("annotations", {}) == {}
    assert (removed["spec"], removed["metadata"]["labels"]) == (pod["spec"], pod["metadata"]["labels"])


async def test_an_annotation_on_a_stale_view_is_a_conflict(
    kube: Kube, namespace: str, create_worker: CreateWorker
) -> None:
    pod = await create_worker("reports-0")
    await kube.patch_pod_annotations(namespace, "reports-0", version(pod), {"pynenc.org/drain-request": "x"})
    with pytest.raises(Conflict):
        await kube.patch_pod_annotations(namespace, "reports-0", version(pod), {"pynenc.org/drain-request": None})


async def test_a_taken_name_and_a_wrong_body_are_told_apart(
    kube: Kube, namespace: str, create_worker: CreateWorker
) -> None:
    await create_worker("reports-0")
    with pytest.raises(AlreadyExists):
        await create_worker("reports-0")
    broken = worker_pod("reports-1")
    broken["spec"]["containers"][0]["image"] = ""
    with pytest.raises(Invalid, match=r"create pods/.*/reports-1: 422 Invalid: .*image"):
        await kube.create_pod(namespace, broken)
    with pytest.raises(Invalid, match="400 BadRequest"):
        await kube.create_pod(namespace, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "reports-1"}})


async def test_a_dry_run_creates_nothing(kube: Kube, namespace: str) -> None:
    await kube.create_pod(namespace, worker_pod("reports-0"), dry_run=True)
    assert await kube.list_pods(namespace, SELECTOR) == []


async def test_a_full_quota_and_pod_security_are_told_apart(half_cluster: HalfCluster, kube: Kube) -> None:
    half_cluster.create_namespace("full")
    half_cluster.create_namespace("strict", labels={"pod-security.kubernetes.io/enforce": "restricted"})
    half_cluster.kubectl("create", "quota", "none", "--hard=pods=0", "-n", "full")
    # There is no controller that would count; admission wants the quota's status filled in.
    half_cluster.kubectl(
        "patch", "quota", "none", "-n", "full", "--subresource=status", "--type=merge",
        "-p", json.dumps({"status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}}),
    )  # fmt: skip
    with pytest.raises(Forbidden) as full:
        await kube.create_pod("full", worker_pod("reports-0"))
    with pytest.raises(Forbidden) as strict:
        await kube.create_pod("strict", worker_pod("reports-0"))
    assert (full.value.quota, strict.value.quota) == (True, False)
    assert "violates PodSecurity" in str(strict.value)
    assert "RBAC" not in str(strict.value)


async def test_a_missing_right_names_the_verb_the_object_and_the_mend(
    crd_installed: HalfCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads(crd_installed.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": crd_installed.create_token(namespace, "default")}
    file = crd_installed.folder / f"{namespace}.kubeconfig"
    file.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(file))
    connection = await Connection.open(Clock(), lambda *_: None)
    try:
        with pytest.raises(Forbidden) as refusal:
            await Kube(connection).get_secret(namespace, "redis")
    finally:
        await connection.close()
    assert str(refusal.value).startswith(f"get secrets/{namespace}/redis: 403 Forbidden: ")
    assert str(refusal.value).endswith("add this verb to the operator's role)")


async def test_a_token_that_has_been_replaced_is_read_again(
    crd_installed: HalfCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads(crd_installed.kubeconfig.read_text())
    good = json.dumps(config)
    config["users"][0]["user"] = {"token": "outdated"}
    file = crd_installed.folder / f"{namespace}.kubeconfig"
    file.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(file))
    codes: list[str] = []
    connection = await Connection.open(Clock(), lambda _verb, _resource, code, _seconds: codes.append(code))
    try:
        with pytest.raises(KubeError, match="401 Unauthorized"):
            await Kube(connection).list_runners(namespace)
        file.write_text(good)
        assert await Kube(connection).list_runners(namespace) == []
    finally:
        await connection.close()
    assert codes[-2:] == ["401", "200"]


async def test_a_runners_status_is_merged_and_its_spec_is_safe(
    crd_installed: HalfCluster, kube: Kube, namespace: str
) -> None:
    crd_installed.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(runner()))
    [before] = await kube.list_runners(namespace)
    await kube.patch_runner_status(namespace, "reports", {"replicas": 1, "queueDepth": 7}, before["spec"])
    outdated = {**before["spec"], "maxReplicas": 99}
    after = await kube.patch_runner_status(namespace, "reports", {"replicas": 2, "queueDepth": None}, outdated)
    assert (after["status"]["replicas"], "queueDepth" in after["status"]) == (2, False)
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert [r["metadata"]["name"] for r in await kube.list_runners(namespace)] == ["reports"]
    assert ("reports", namespace) in {
        (r["metadata"]["name"], r["metadata"]["namespace"]) for r in await kube.list_runners(None)
    }
    with pytest.raises(NotFound):
        await kube.patch_runner_status(namespace, "gone", {"replicas": 1}, before["spec"])


async def test_an_event_is_written(kube: Kube, namespace: str) -> None:
    body = event(
        {"metadata": {"name": "reports", "namespace": namespace, "uid": "u"}},
        time.time(),
        "QueueDepth",
        "created reports-0",
        action="Create",
        instance="operator-0",
    )
    written = await kube.create_event(namespace, body)
    assert (written["reason"], written["action"], written["note"]) == ("QueueDepth", "Create", "created reports-0")


async def test_the_servers_clock_is_learned_from_any_answer(
    crd_installed: HalfCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(crd_installed.kubeconfig))
    clock = Clock(wall=lambda: time.time() - 300)
    connection = await Connection.open(clock, lambda *_: None)
    try:
        assert clock.now() == pytest.approx(time.time() - 300, abs=0.1)
        await Kube(connection).list_runners(namespace)
    finally:
        await connection.close()
    assert clock.now() == pytest.approx(time.time(), abs=1.5)


async def test_one_that_has_lost_the_lead_reads_but_does_not_write(
    connection: Connection, namespace: str, create_worker: CreateWorker
) -> None:
    pod = await create_worker("reports-0")
    follower = Kube(connection, may_write=lambda: False)
    assert len(await follower.list_pods(namespace, SELECTOR)) == 1
    writes = (
        follower.create_pod(namespace, worker_pod("reports-1")),
        follower.patch_pod_annotations(namespace, "reports-0", version(pod), {"pynenc.org/drain-request": "x"}),
        follower.delete_pod(namespace, "reports-0", pod["metadata"]["uid"], version(pod)),
    )
    for write in writes:
        with pytest.raises(Unavailable, match="lost the leadership"):
            await write
    assert version((await follower.list_pods(namespace, SELECTOR))[0]) == version(pod)


async def test_without_any_configuration_the_error_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(kube_connection, "_SERVICE_ACCOUNT", tmp_path / "token")
    with pytest.raises(kube_connection.ConfigurationError, match="set KUBECONFIG"):
        await Connection.open(Clock(), lambda *_: None)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    with pytest.raises(kube_connection.ConfigurationError, match="can't be read"):
        await Connection.open(Clock(), lambda *_: None)


async def test_the_served_resources_are_those_of_the_group(kube: Kube) -> None:
    assert {"multithreadrunners", "multithreadrunners/status"} <= await kube.served(labels.GROUP, labels.VERSION)
    assert await kube.served("nobody.example", "v1") == set()
