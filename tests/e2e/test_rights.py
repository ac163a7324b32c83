"""What a running worker's own token may do, and what it is refused."""

import base64
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from pynenc_worker import contract
from tests.e2e.kubernetes import get, kubectl
from tests.e2e.pool import NAME, Pool
from tests.e2e.release import OPERATOR

AUTHORIZATION = "authorization.k8s.io"
# What Kubernetes lets everybody do who has logged in: ask about themselves, and read what the API server offers.
EVERYBODY = {
    ("create", AUTHORIZATION, "selfsubjectaccessreviews", ""),
    ("create", AUTHORIZATION, "selfsubjectrulesreviews", ""),
    ("create", "authentication.k8s.io", "selfsubjectreviews", ""),
    *(("get", "", path, "") for root in ("/api", "/apis", "/openapi") for path in (root, f"{root}/*")),
    *(("get", "", path, "") for path in ("/healthz", "/livez", "/readyz")),
    *(
        ("get", "", f"{path}{slash}", "")
        for path in ("/version", "/.well-known/openid-configuration", "/openid/v1/jwks")
        for slash in ("", "/")
    ),
}
WORKERS = {("patch", "", "pods/status", ""), ("report", "pynenc.org", "multithreadrunners", "")}
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


@pytest.fixture(scope="module")
def workers(operator: None) -> Iterator[tuple[Pool, str]]:  # noqa: ARG001
    """Two workers at rest, and the token of the first, as it has it in its file."""
    pool = Pool("rights")
    try:
        pool.apply(minReplicas=2)
        pool.until_states("idle", "idle")
        yield pool, pool.kubectl("exec", "reports-0", "--", "cat", TOKEN)
    finally:
        pool.close()


def patch(pool: Pool, token: str, pod: str, body: dict[str, Any], subresource: str = "/status") -> tuple[int, str]:
    """PATCH a pod with a worker's token: HTTP status, and what was said. (kubectl would read the pod first.)"""
    return call(token, "PATCH", f"/api/v1/namespaces/{pool.namespace}/pods/{pod}{subresource}", body)


def call(token: str, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    """Send one request with a worker's token: HTTP status, and what was said."""
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    request = urllib.request.Request(
        _cluster("server") + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": kind},
        method=method,
    )
    context = ssl.create_default_context(cadata=base64.b64decode(_cluster("certificate-authority-data")).decode())
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def rules(token: str, namespace: str) -> set[tuple[str, str, str, str]]:
    """All that a token may do in a namespace: (verb, group, resource, name), or (verb, "", path, "")."""
    review = {"apiVersion": f"{AUTHORIZATION}/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    code, said = call(token, "POST", f"/apis/{AUTHORIZATION}/v1/selfsubjectrulesreviews", review)
    assert code == 201, said
    status = json.loads(said)["status"]
    assert not status["incomplete"]
    found = {
        (verb, group, resource, name)
        for rule in status["resourceRules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }
    paths = {
        (verb, "", path, "")
        for rule in status["nonResourceRules"]
        for verb in rule["verbs"]
        for path in rule["nonResourceURLs"]
    }
    return found | paths


def _cluster(entry: str) -> str:
    return kubectl("config", "view", "--raw", "--minify", "-o", f"jsonpath={{.clusters[0].cluster.{entry}}}")


def annotations(**values: str | None) -> dict[str, Any]:
    return {"metadata": {"annotations": values}}


@pytest.mark.fault(
    "security", "a worker's token: every right of it in its own and in other namespaces, by an exact list"
)
def test_a_workers_token_may_do_what_is_listed_and_nothing_else(workers: tuple[Pool, str]) -> None:
    pool, token = workers
    assert rules(token, pool.namespace) == EVERYBODY | WORKERS
    for elsewhere in ("default", "kube-system", OPERATOR.namespace):
        assert rules(token, elsewhere) == EVERYBODY


@pytest.mark.fault("security", "a worker's token: objects of its namespace, of others and of the node")
def test_it_reads_and_makes_nothing(workers: tuple[Pool, str]) -> None:
    pool, token = workers
    own, others = f"/api/v1/namespaces/{pool.namespace}", f"/api/v1/namespaces/{OPERATOR.namespace}"
    runner = f"/apis/pynenc.org/v1alpha1/namespaces/{pool.namespace}/multithreadrunners/{NAME}"
    read = [
        *(
            f"{own}/{kind}"
            for kind in ("secrets", "configmaps", "pods", "events", "pods/reports-0", "pods/reports-0/log")
        )
    ]
    read += [
        f"{others}/secrets",
        f"{others}/pods",
        "/api/v1/nodes",
        "/api/v1/namespaces",
        runner,
        f"{runner}/status",
        f"{runner}/scale",
    ]
    read += ["/metrics", "/logs", "/apis/coordination.k8s.io/v1/leases"]
    body: dict[str, Any] = {"apiVersion": "v1", "metadata": {"name": "mine"}}
    tried: list[tuple[str, str, dict[str, Any] | None]] = [("GET", path, None) for path in read]
    tried += [
        ("POST", f"{own}/{kind}", body)
        for kind in ("pods", "secrets", "pods/reports-0/exec", "pods/reports-1/eviction")
    ]
    tried += [("POST", f"{own}/serviceaccounts/pynenc-worker/token", body), ("DELETE", f"{own}/pods/reports-1", None)]
    tried += [
        ("PATCH", f"{runner}/status", {"status": {"replicas": 9}}),
        ("PATCH", f"{runner}/scale", {"spec": {"replicas": 9}}),
    ]
    codes = {(method, path): call(token, method, path, sent)[0] for method, path, sent in tried}
    assert {asked: code for asked, code in codes.items() if code != 403} == {}


@pytest.mark.fault("security", "a worker's token: its report")
def test_a_worker_may_report_of_itself_and_take_it_back(workers: tuple[Pool, str]) -> None:
    pool, token = workers
    before = get("pod", "reports-0", "-n", pool.namespace)["metadata"]["annotations"]
    report = dict.fromkeys(contract.WORKER_WRITES, "1") | {contract.WORKER_STATE: "active"}
    code, said = patch(pool, token, "reports-0", annotations(**report))
    assert code == 200, said
    assert report.items() <= get("pod", "reports-0", "-n", pool.namespace)["metadata"]["annotations"].items()
    mended = {key: before.get(key) for key in contract.WORKER_WRITES}
    assert patch(pool, token, "reports-0", annotations(**mended))[0] == 200


@pytest.mark.fault("security", "a worker's token: what is no report, and another pod's")
@pytest.mark.parametrize(
    ("pod", "body"),
    [
        ("reports-1", annotations(**{contract.WORKER_STATE: "active"})),
        ("reports-0", {"metadata": {"labels": {"pynenc.org/runner": "another"}}}),
        ("reports-0", {"status": {"phase": "Succeeded"}}),
        ("reports-0", annotations(**{contract.DRAIN_REQUEST: "idle.1"})),
        ("reports-0", annotations(**{contract.RECOVER_RUNNERS: "x"})),
        ("reports-0", annotations(**{"example.com/note": "x"})),
        ("reports-0", {"metadata": {"finalizers": ["example.com/stay"]}}),
        ("reports-0", annotations(**{contract.WORKER_STATE: "x" * 65})),
    ],
    ids=["another pod", "a label", "a status", "a drain request", "a recovery", "an annotation", "a finalizer",
         "a long value"],
)  # fmt: skip
def test_it_is_refused_anything_else(workers: tuple[Pool, str], pod: str, body: dict[str, Any]) -> None:
    pool, token = workers
    before = get("pod", pod, "-n", pool.namespace)
    code, said = patch(pool, token, pod, body)
    after = get("pod", pod, "-n", pool.namespace)
    assert code in {403, 422}, said
    for part in ("labels", "annotations", "ownerReferences"):
        assert after["metadata"].get(part) == before["metadata"].get(part)
    assert after["status"]["phase"] == before["status"]["phase"]


@pytest.mark.fault("security", "a worker's token: a pod's image and owner")
def test_it_can_not_change_an_image_or_an_owner_by_either_way(workers: tuple[Pool, str]) -> None:
    pool, token = workers
    for body in (
        {"spec": {"containers": [{"name": "worker", "image": "evil"}]}},
        {"metadata": {"ownerReferences": None}},
    ):
        assert patch(pool, token, "reports-0", body, "")[0] == 403
        patch(pool, token, "reports-0", body)  # the status endpoint leaves these as they are, and says nothing
    after = get("pod", "reports-0", "-n", pool.namespace)
    assert after["spec"]["containers"][0]["image"] == "localhost/pynenc-demo:dev"
    assert after["metadata"]["ownerReferences"][0]["kind"] == "MultiThreadRunner"
