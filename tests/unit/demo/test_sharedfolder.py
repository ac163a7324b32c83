from typing import Any

import pytest

from examples.demo.sharedfolder import SharedFolder, choose_node

FOLDER = SharedFolder("queue", "/run/queue", "here", {"metadata": {"name": "app", "uid": "uid of app"}})
OWNED = [{"apiVersion": "v1", "kind": "Namespace", "name": "app", "uid": "uid of app"}]


def node(name: str, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "labels": {"kubernetes.io/hostname": f"host of {name}"}}
    conditions = [{"type": "DiskPressure", "status": "False"}, {"type": "Ready", "status": more.get("ready", "True")}]
    return {"metadata": meta, "spec": more.get("spec", {}), "status": {"conditions": conditions}}


def test_each_namespace_has_a_claim_and_a_volume_that_are_for_each_other() -> None:
    operator, app = FOLDER.volume("operator"), FOLDER.volume("app")
    for namespace, (volume, claim) in (("operator", operator), ("app", app)):
        assert claim["metadata"]["namespace"] == namespace
        assert volume["spec"]["claimRef"] == {"namespace": namespace, "name": claim["metadata"]["name"]}
        assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
    assert operator[0]["metadata"]["name"] != app[0]["metadata"]["name"]
    assert operator[0]["spec"]["hostPath"] == app[0]["spec"]["hostPath"]
    assert operator[1]["metadata"]["name"] == app[1]["metadata"]["name"]


def test_all_of_it_stands_on_one_node_and_goes_with_its_owner() -> None:
    volume, claim = FOLDER.volume("app")
    maker, job = FOLDER.making("app", "file.db", "image")
    [term] = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["here"]}]
    assert job["spec"]["template"]["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "here"}
    assert job["metadata"]["namespace"] == maker["metadata"]["name"]
    assert [part["metadata"]["ownerReferences"] for part in (volume, claim, maker)] == [OWNED] * 3


def test_the_job_makes_the_namespaces_folder_in_the_volumes_folder() -> None:
    pod = FOLDER.making("app", "file.db", "image")[1]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (mount,) = container["volumeMounts"]
    assert container["command"][-2:] == [f"{mount['mountPath']}/app", "file.db"]
    assert pod["volumes"][0]["hostPath"] == FOLDER.volume("app")[0]["spec"]["hostPath"]


def found(phase: str = "Bound") -> dict[str, Any]:
    """The volume of a namespace as the API server has it, once it is bound."""
    volume, _ = FOLDER.volume("app")
    return {**volume, "spec": {**volume["spec"], "volumeMode": "Filesystem"}, "status": {"phase": phase}}


def test_nothing_and_what_is_ours_can_be_applied_over() -> None:
    volume, claim = FOLDER.volume("app")
    assert FOLDER.is_usable(volume, None)
    assert FOLDER.is_usable(volume, found())
    assert FOLDER.is_usable(volume, found("Available"))
    assert FOLDER.is_usable(claim, {**claim, "status": {"phase": "Pending"}})


@pytest.mark.parametrize("phase", ["Released", "Failed"])
def test_a_volume_that_has_lost_its_claim_has_to_go(phase: str) -> None:
    assert not FOLDER.is_usable(FOLDER.volume("app")[0], found(phase))


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {**found()["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}},
        {"metadata": {**found()["metadata"], "ownerReferences": [{**OWNED[0], "uid": "uid of an earlier one"}]}},
        {"metadata": {"name": "queue-app"}},
        {"spec": {**found()["spec"], "nodeAffinity": {"required": {"nodeSelectorTerms": []}}}},
    ],
    ids=["it goes", "another owner", "no owner", "another node"],
)
def test_what_can_not_become_ours_has_to_go(change: dict[str, Any]) -> None:
    assert not FOLDER.is_usable(FOLDER.volume("app")[0], found() | change)


def test_the_node_is_the_first_that_takes_any_pod() -> None:
    nodes = [
        node("a", ready="Unknown"),
        node("b", spec={"unschedulable": True}),
        node("c", spec={"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]}),
        node("e"),
        node("d", spec={"taints": [{"key": "any", "effect": "PreferNoSchedule"}]}),
    ]
    assert choose_node(nodes) == "host of d"
    assert choose_node(nodes[:3]) is None
