"""Helm's own path, on an API server that knows nothing of us: install, uninstall, install again."""

from collections.abc import Iterator

import pytest

from tests.cluster.half_cluster import HalfCluster
from tests.integration.chart.rendering import CHART, RELEASE, RELEASE_NAMESPACE, Json, helm, name_of, render
from tests.integration.conftest import until_served

KEPT = {"CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
WORKERS = f"{RELEASE}-workers.{RELEASE_NAMESPACE}"
RUNNER = """
apiVersion: pynenc.org/v1alpha1
kind: MultiThreadRunner
metadata: {name: reports, namespace: default}
spec: {app: reports.tasks, appId: reports, image: "reports:1", backend: {redis: {url: "redis://redis:6379"}}}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[HalfCluster]:
    """A half cluster of its own: the others' already has the CRD."""
    with HalfCluster() as half:
        yield half


def run_helm(cluster: HalfCluster, *arguments: str) -> str:
    place = (f"--namespace={RELEASE_NAMESPACE}", f"--kubeconfig={cluster.kubeconfig}")
    done = helm(*arguments, *place)
    assert done.returncode == 0, done.stderr
    return done.stdout


def exists(cluster: HalfCluster, each: Json) -> bool:
    namespace = each["metadata"].get("namespace", "default")
    found = cluster.kubectl("get", each["kind"], name_of(each), f"--namespace={namespace}", check=False)
    assert found.returncode == 0 or "(NotFound)" in found.stderr, found.stderr
    return found.returncode == 0


def test_what_workers_and_runners_need_outlives_the_release(cluster: HalfCluster) -> None:
    objects = render()
    install = ("install", RELEASE, str(CHART), "--create-namespace", "--set=image.tag=dev")
    assert "NOTES:" in run_helm(cluster, *install)
    assert all(exists(cluster, each) for each in objects)
    until_served(cluster)
    cluster.kubectl("apply", "-f", "-", input=RUNNER)

    assert "kept due to the resource policy" in run_helm(cluster, "uninstall", RELEASE)
    left = {(each["kind"], name_of(each)) for each in objects if exists(cluster, each)}
    kept = {each for each in left if each[0] in KEPT | {"ClusterRole"}}
    assert {kind for kind, _ in kept} == KEPT | {"ClusterRole"}
    assert {name for kind, name in kept if kind != "CustomResourceDefinition"} == {WORKERS}
    assert left == kept
    assert "reports" in cluster.kubectl("get", "multithreadrunners", "--namespace=default").stdout

    run_helm(cluster, *install)
    assert all(exists(cluster, each) for each in objects)
    run_helm(cluster, "upgrade", RELEASE, str(CHART), "--set=replicaCount=2")
    replicas = cluster.kubectl(
        "get", "deployment", RELEASE, f"--namespace={RELEASE_NAMESPACE}", "--output=jsonpath={.spec.replicas}"
    )
    assert replicas.stdout == "2"
