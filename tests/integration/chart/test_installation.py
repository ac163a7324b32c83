"""Helm's own path, on an API server that knows nothing of us: install, uninstall, install again."""

import subprocess
from collections.abc import Iterator

import pytest
import yaml

from tests.cluster.half_cluster import HalfCluster
from tests.integration.chart.rendering import CHART, RELEASE, RELEASE_NAMESPACE, Json, helm, name_of, render
from tests.integration.conftest import CRD_FILE, until_served

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
    done = try_helm(cluster, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def try_helm(cluster: HalfCluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    return helm(*arguments, f"--namespace={RELEASE_NAMESPACE}", f"--kubeconfig={cluster.kubeconfig}")


def install(release: str, *flags: str) -> tuple[str, ...]:
    return ("install", release, str(CHART), "--create-namespace", "--set=image.tag=dev", *flags)


def exists(cluster: HalfCluster, each: Json) -> bool:
    namespace = each["metadata"].get("namespace", "default")
    found = cluster.kubectl("get", each["kind"], name_of(each), f"--namespace={namespace}", check=False)
    assert found.returncode == 0 or "(NotFound)" in found.stderr, found.stderr
    return found.returncode == 0


def test_what_workers_and_runners_need_outlives_the_release(cluster: HalfCluster) -> None:
    objects = render()
    assert "NOTES:" in run_helm(cluster, *install(RELEASE))
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

    run_helm(cluster, *install(RELEASE))
    assert all(exists(cluster, each) for each in objects)
    run_helm(cluster, "upgrade", RELEASE, str(CHART), "--set=replicaCount=2")
    replicas = cluster.kubectl(
        "get", "deployment", RELEASE, f"--namespace={RELEASE_NAMESPACE}", "--output=jsonpath={.spec.replicas}"
    )
    assert replicas.stdout == "2"

    run_helm(cluster, "upgrade", RELEASE, str(CHART), "--set=crds.enabled=false")
    assert "reports" in cluster.kubectl("get", "multithreadrunners", "--namespace=default").stdout
    run_helm(cluster, "uninstall", RELEASE)


def test_another_release_takes_over_what_one_has_left(cluster: HalfCluster) -> None:
    run_helm(cluster, *install("first", "--take-ownership"))
    run_helm(cluster, "uninstall", "first")
    refused = try_helm(cluster, *install("second"))
    assert refused.returncode != 0
    assert "invalid ownership metadata" in refused.stderr
    run_helm(cluster, *install("second", "--take-ownership"))
    owner = cluster.kubectl("get", "crd", "multithreadrunners.pynenc.org", "--output=yaml").stdout
    assert yaml.safe_load(owner)["metadata"]["annotations"]["meta.helm.sh/release-name"] == "second"

    # As UPGRADING.md has it: the first one's policy would hold the second one's workers to what the first one knew.
    left = f"first-{RELEASE}-workers.{RELEASE_NAMESPACE}"
    kinds = ("validatingadmissionpolicybinding", "validatingadmissionpolicy", "clusterrole")
    for kind in kinds:
        cluster.kubectl("delete", kind, left)
        cluster.kubectl("get", kind, left.replace("first", "second", 1))
    run_helm(cluster, "uninstall", "second")


def test_a_release_takes_over_a_definition_that_was_applied_by_hand(cluster: HalfCluster) -> None:
    cluster.kubectl("delete", "crd", "multithreadrunners.pynenc.org", "--ignore-not-found")
    older = yaml.load(CRD_FILE.read_text(), yaml.CSafeLoader)
    [version] = older["spec"]["versions"]
    del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["rollout"]
    version["schema"]["openAPIV3Schema"]["description"] = "An older one."
    cluster.kubectl("apply", "-f", "-", input=yaml.dump(older, Dumper=yaml.CSafeDumper))
    assert "invalid ownership metadata" in try_helm(cluster, *install("third")).stderr
    assert "conflict" in try_helm(cluster, *install("third", "--take-ownership")).stderr
    run_helm(cluster, "uninstall", "third", "--ignore-not-found")
    run_helm(cluster, *install("third", "--take-ownership", "--force-conflicts"))
    found = yaml.load(cluster.kubectl("get", "crd", older["metadata"]["name"], "-oyaml").stdout, yaml.CSafeLoader)
    [served] = found["spec"]["versions"]
    assert "rollout" in served["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
