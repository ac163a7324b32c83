"""What a worker may write, by the chart's role and policy on a real API server: its own report, and nothing else."""

import copy
from typing import Any

import pytest
import yaml

from pynenc_worker import contract
from tests.cluster.half_cluster import HalfCluster
from tests.integration.chart.attempts import LONGEST, OTHER_WAYS, OWN, REFUSED, annotate, report
from tests.integration.chart.caller import Caller, service_account
from tests.integration.chart.conftest import Release, bind, until_enforced, worker_pod

NAMESPACE = "chart-policy"
ELSEWHERE = "chart-policy-elsewhere"
ACCOUNT = "pynenc-worker"
OTHER = "reports-1"

type Json = dict[str, Any]


def pod(admin: Caller, name: str = OWN, namespace: str = NAMESPACE) -> Json:
    answer = admin.call("GET", f"/api/v1/namespaces/{namespace}/pods/{name}")
    assert answer.code == 200, answer.message
    return answer.body


@pytest.fixture(scope="module")
def cluster(half_cluster: HalfCluster, serving_all: Release, admin: Caller) -> HalfCluster:
    """Two workers' pods in one namespace, one of the same name in another, and the operator's binding."""
    for namespace in (NAMESPACE, ELSEWHERE):
        half_cluster.create_namespace(namespace)
        half_cluster.kubectl("create", "serviceaccount", ACCOUNT, f"--namespace={namespace}")
        for name in (OWN, OTHER):
            answer = admin.call("POST", f"/api/v1/namespaces/{namespace}/pods", worker_pod(name, ACCOUNT))
            assert answer.code == 201, answer.message
    bind(serving_all.operator, NAMESPACE, serving_all.workers_role, subject=ACCOUNT)
    worker = service_account(half_cluster, NAMESPACE, ACCOUNT)
    worker.until_allowed("patch", "", "pods/status", namespace=NAMESPACE)
    until_enforced(worker, NAMESPACE, OTHER)
    return half_cluster


@pytest.fixture(scope="module")
def worker(cluster: HalfCluster) -> Caller:
    """By the token of the pod OWN."""
    return service_account(cluster, NAMESPACE, ACCOUNT, pod=OWN)


@pytest.mark.parametrize("key", contract.WORKER_WRITES)
def test_a_worker_writes_its_report(worker: Caller, admin: Caller, key: str) -> None:
    value = LONGEST.get(key, "x" * 64)
    answer = worker.patch_status(NAMESPACE, OWN, annotate(**{key: value}))
    assert (answer.code, answer.message) == (200, "")
    assert pod(admin)["metadata"]["annotations"][key] == value
    assert worker.patch_status(NAMESPACE, OWN, annotate(**{key: None})).code == 200
    assert key not in pod(admin)["metadata"]["annotations"]


def test_a_worker_writes_its_whole_report_at_once(worker: Caller, admin: Caller) -> None:
    values = dict.fromkeys(contract.WORKER_WRITES, "1")
    patch = annotate(**values)
    patch["metadata"]["uid"] = pod(admin)["metadata"]["uid"]
    assert worker.patch_status(NAMESPACE, OWN, patch).code == 200
    assert values.items() <= pod(admin)["metadata"]["annotations"].items()


@pytest.mark.parametrize(("patch", "says"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_worker_is_refused(worker: Caller, admin: Caller, patch: str, says: str) -> None:
    before = pod(admin)
    answer = worker.patch_status(NAMESPACE, OWN, yaml.safe_load(patch))
    assert answer.code == 403
    assert says in answer.message
    assert pod(admin) == before


@pytest.mark.parametrize(("content_type", "patch"), [case[1:] for case in OTHER_WAYS], ids=[c[0] for c in OTHER_WAYS])
def test_another_way_to_write_is_no_way_around(worker: Caller, admin: Caller, content_type: str, patch: object) -> None:
    answer = worker.patch_status(NAMESPACE, OWN, patch, content_type=content_type)
    assert answer.code == 403
    assert "not team" in answer.message
    assert pod(admin)["metadata"]["annotations"]["team"] == "a"


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"containers": [{"name": "worker", "image": "registry.example/evil:1"}]}},
        {"spec": {"activeDeadlineSeconds": 1}},
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}]}},
    ],
    ids=["an image", "a deadline", "an owner"],
)
def test_the_status_endpoint_leaves_spec_and_owners_as_they_are(worker: Caller, admin: Caller, patch: Json) -> None:
    before = pod(admin)
    worker.patch_status(NAMESPACE, OWN, patch)
    after = pod(admin)
    assert after["spec"] == before["spec"]
    assert after["metadata"].get("ownerReferences") == before["metadata"].get("ownerReferences")


def test_a_worker_is_refused_another_pod(worker: Caller, admin: Caller) -> None:
    answer = worker.patch_status(NAMESPACE, OTHER, report("drained"))
    assert answer.code == 403
    assert f"only on its own pod: pod {OTHER} was to be changed with the token of pod {OWN}" in answer.message
    assert pod(admin, OTHER)["metadata"]["annotations"][contract.WORKER_STATE] == "idle"


def test_a_token_of_no_pod_is_refused(cluster: HalfCluster) -> None:
    answer = service_account(cluster, NAMESPACE, ACCOUNT).patch_status(NAMESPACE, OWN, report("drained"))
    assert answer.code == 403
    assert "with the token of no pod" in answer.message


def test_a_pod_of_the_same_name_elsewhere_is_refused(cluster: HalfCluster, serving_all: Release) -> None:
    bind(serving_all.operator, NAMESPACE, serving_all.workers_role, subject=ACCOUNT, subject_namespace=ELSEWHERE)
    namesake = service_account(cluster, ELSEWHERE, ACCOUNT, pod=OWN)
    namesake.until_allowed("patch", "", "pods/status", namespace=NAMESPACE)
    answer = namesake.patch_status(NAMESPACE, OWN, report("drained"))
    assert answer.code == 403
    assert f"pod {OWN} was to be changed with the token of pod {OWN}, uid " in answer.message


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{OWN}"),
        ("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{OWN}/status"),
        ("GET", f"/api/v1/namespaces/{NAMESPACE}/pods"),
        ("PATCH", f"/api/v1/namespaces/{NAMESPACE}/pods/{OWN}"),
        ("PUT", f"/api/v1/namespaces/{NAMESPACE}/pods/{OWN}/status"),
        ("DELETE", f"/api/v1/namespaces/{NAMESPACE}/pods/{OWN}"),
        ("PATCH", f"/api/v1/namespaces/{ELSEWHERE}/pods/{OWN}/status"),
        ("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets"),
        ("GET", f"/apis/pynenc.org/v1alpha1/namespaces/{NAMESPACE}/multithreadrunners"),
    ],
)
def test_a_worker_has_no_other_right(worker: Caller, admin: Caller, method: str, path: str) -> None:
    body: Json | None = {"PATCH": report("active"), "PUT": pod(admin)}.get(method)
    content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
    answer = worker.call(method, path, body, content_type=content_type)
    assert answer.code == 403
    assert "cannot" in answer.message  # by RBAC, before any policy


def granted(cluster: HalfCluster, admin: Caller, account: str, rules: list[Json]) -> Caller:
    """A ServiceAccount with a Role of its own."""
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}"
    cluster.kubectl("create", "serviceaccount", account, f"--namespace={NAMESPACE}")
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": account}}
    role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account}
    subjects = [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]
    for path, body in (
        (f"{rbac}/roles", {**kind, "kind": "Role", "rules": rules}),
        (f"{rbac}/rolebindings", {**kind, "kind": "RoleBinding", "roleRef": role_ref, "subjects": subjects}),
    ):
        answer = admin.call("POST", path, copy.deepcopy(body))
        assert answer.code == 201, answer.message
    caller = service_account(cluster, NAMESPACE, account)
    caller.until_allowed("patch", "", "pods/status", namespace=NAMESPACE)
    return caller


PATCH_STATUS = {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]}
EVERY_VERB_OF_RUNNERS = {"apiGroups": ["pynenc.org"], "resources": ["multithreadrunners"], "verbs": ["*"]}
PATCH_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}


@pytest.mark.parametrize(
    ("account", "rules", "code", "says"),
    [
        ("some-controller", [PATCH_STATUS], 200, ""),  # writes the status of pods, is nothing of ours
        ("deployer", [PATCH_STATUS, EVERY_VERB_OF_RUNNERS], 403, "a worker may"),  # holds `report`: counts as a worker
        ("administrator", [PATCH_STATUS, EVERY_VERB_OF_RUNNERS, PATCH_PODS], 200, ""),  # could patch the pod itself
    ],
)
def test_the_requesters_rights_decide_whom_the_policy_is_for(
    cluster: HalfCluster, admin: Caller, account: str, rules: list[Json], code: int, says: str
) -> None:
    caller = granted(cluster, admin, account, rules)
    answer = caller.patch_status(NAMESPACE, OTHER, {"metadata": {"labels": {"by": account}}})
    assert answer.code == code, answer.message
    assert says in answer.message


def test_the_operator_asks_for_a_drain_and_takes_it_back(
    serving_all: Release, cluster: HalfCluster, admin: Caller
) -> None:
    assert cluster
    for request in ("9", None):
        patch = annotate(**{contract.DRAIN_REQUEST: request})
        assert serving_all.operator.patch_status(NAMESPACE, OTHER, patch).code == 200
        assert pod(admin, OTHER)["metadata"]["annotations"].get(contract.DRAIN_REQUEST) == request
