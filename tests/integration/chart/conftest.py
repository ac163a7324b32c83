"""The chart's rights and policy in the API server, as two releases grant them."""

import time
from dataclasses import dataclass

import pytest
import yaml

from tests.cluster.half_cluster import HalfCluster
from tests.integration.chart.caller import Caller, administrator, service_account
from tests.integration.chart.rendering import RELEASE, Json, name_of, of_kind, render

ANY_NAMESPACE = "pynenc-system"  # of the release that serves all namespaces
ONE_NAMESPACE = "pynenc-one"  # of the release that serves only WATCHED
WATCHED = "chart-watched"
UNWATCHED = "chart-unwatched"
POLICY_WITHIN = 30.0  # seconds until the API server enforces a new policy


@dataclass(frozen=True)
class Release:
    """An installed release without its Deployment: nothing runs in half a cluster."""

    namespace: str
    objects: list[Json]
    operator: Caller

    @property
    def workers_role(self) -> str:
        """The ClusterRole that the operator binds workers to."""
        [role] = [r for r in of_kind(self.objects, "ClusterRole") if "workers" in name_of(r)]
        return name_of(role)


def install(cluster: HalfCluster, namespace: str, *settings: str) -> Release:
    """Apply what a release holds but its Deployment."""
    cluster.ensure_namespace(namespace)
    objects = [o for o in render("crds.enabled=false", *settings, namespace=namespace) if o["kind"] != "Deployment"]
    cluster.kubectl("apply", "--server-side", "-f", "-", input=yaml.dump_all(objects, Dumper=yaml.CSafeDumper))
    operator = service_account(cluster, namespace, RELEASE)
    operator.until_allowed("create", "coordination.k8s.io", "leases", namespace=namespace)
    operator.until_allowed("list", "", "pods", namespace=WATCHED)
    return Release(namespace, objects, operator)


@pytest.fixture(scope="session")
def watched(crd_installed: HalfCluster) -> HalfCluster:
    """The half cluster with a namespace that both releases serve and one that only one of them does."""
    crd_installed.create_namespace(WATCHED)
    crd_installed.create_namespace(UNWATCHED)
    return crd_installed


@pytest.fixture(scope="session")
def serving_all(watched: HalfCluster) -> Release:
    """A release without watchNamespaces."""
    return install(watched, ANY_NAMESPACE)


@pytest.fixture(scope="session")
def serving_one(watched: HalfCluster) -> Release:
    """A release with watchNamespaces [WATCHED]."""
    return install(watched, ONE_NAMESPACE, f'watchNamespaces=["{WATCHED}"]')


@pytest.fixture(scope="session")
def admin(half_cluster: HalfCluster) -> Caller:
    """Who may do everything."""
    return administrator(half_cluster)


def bind(caller: Caller, namespace: str, role: str, *, subject: str, subject_namespace: str | None = None) -> None:
    """Bind a ClusterRole to a ServiceAccount, as the operator does for workers."""
    binding = role_binding(f"{role}-{subject_namespace or namespace}", role, subject, subject_namespace or namespace)
    answer = caller.call("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", binding)
    assert answer.code == 201, answer.message


def role_binding(name: str, role: str, subject: str, subject_namespace: str) -> Json:
    """A RoleBinding of a ClusterRole to a ServiceAccount."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": subject, "namespace": subject_namespace}],
    }


def worker_pod(name: str, account: str) -> Json:
    """A pod as far as the policy looks at one."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"pynenc.org/runner": "reports"},
            "annotations": {"team": "a", "pynenc.org/drain-request": "7", "pynenc.org/worker-state": "idle"},
            "finalizers": ["example.org/held"],
        },
        "spec": {
            "serviceAccountName": account,
            "containers": [{"name": "worker", "image": "registry.example/reports:1"}],
        },
    }


def until_enforced(caller: Caller, namespace: str, pod: str) -> None:
    """Wait until a label by `caller` is refused: the API server takes a moment to compile a new policy."""
    deadline = time.monotonic() + POLICY_WITHIN
    while (
        answer := caller.patch_status(namespace, pod, {"metadata": {"labels": {"probe": str(time.time())}}})
    ).code == 200:
        assert time.monotonic() < deadline, "the workers' policy is not enforced"
        time.sleep(0.1)
    assert "ValidatingAdmissionPolicy" in answer.message, answer.message
