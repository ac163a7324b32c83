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
from tests.e2e.pool import Pool

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
    request = urllib.request.Request(
        f"{_cluster('server')}/api/v1/namespaces/{pool.namespace}/pods/{pod}{subresource}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"},
        method="PATCH",
    )
    context = ssl.create_default_context(cadata=base64.b64decode(_cluster("certificate-authority-data")).decode())
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _cluster(entry: str) -> str:
    return kubectl("config", "view", "--raw", "--minify", "-o", f"jsonpath={{.clusters[0].cluster.{entry}}}")


def annotations(**values: str | None) -> dict[str, Any]:
    return {"metadata": {"annotations": values}}


def test_a_worker_may_report_of_itself_and_take_it_back(workers: tuple[Pool, str]) -> None:
    pool, token = workers
    before = get("pod", "reports-0", "-n", pool.namespace)["metadata"]["annotations"]
    report = dict.fromkeys(contract.WORKER_WRITES, "1") | {contract.WORKER_STATE: "active"}
    code, said = patch(pool, token, "reports-0", annotations(**report))
    assert code == 200, said
    assert report.items() <= get("pod", "reports-0", "-n", pool.namespace)["metadata"]["annotations"].items()
    mended = {key: before.get(key) for key in contract.WORKER_WRITES}
    assert patch(pool, token, "reports-0", annotations(**mended))[0] == 200


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
