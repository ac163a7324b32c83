"""Two replicas: the other one takes over when the leader goes, whether it dies or stands still."""

import json
import signal
import time
from collections.abc import Iterator

import pytest

from tests.cluster.node import NODE
from tests.e2e.kubernetes import get, kubectl, read, told, wait_until
from tests.e2e.pool import Pool
from tests.e2e.release import OPERATOR

TAKEN_OVER_WITHIN = 15.0  # seconds: what the product promises; a Lease lasts 8
# The liveness probe takes a replica for stopped after three failures, ten seconds apart and five long each.
RESTARTED_WITHIN = 120.0


@pytest.fixture(scope="module")
def notes() -> str:
    """What Helm says after installing two replicas."""
    return OPERATOR.install("replicaCount=2")


@pytest.fixture(scope="module")
def pool(notes: str) -> Iterator[Pool]:  # noqa: ARG001
    pool = Pool("two-replicas")
    try:
        yield pool
    finally:
        pool.close()


def until_moved(before: str, begun: float) -> float:
    """Wait until another replica holds the Lease; seconds since `begun` (monotonic)."""
    wait_until(lambda: OPERATOR.leader() not in {"", before}, f"another leader than {before}", TAKEN_OVER_WITHIN)
    taken = time.monotonic() - begun
    assert taken < TAKEN_OVER_WITHIN
    return taken


def work_while(pool: Pool, happens: str) -> str:
    """Keep the pool growing; the leader of that moment, of which something happens next."""
    pool.apply(maxReplicas=4, idleTimeoutSeconds=3)
    pool.enqueue(*(("long", 6.0, f"{happens}-l{n}") for n in range(2)))
    pool.until_begun(f"{happens}-l0")
    pool.enqueue(*(("short", 1.0, f"{happens}-s{n}") for n in range(12)))
    return OPERATOR.leader()


def nothing_was_lost_or_done_twice(pool: Pool) -> None:
    pool.until_succeeded()
    pool.until_gone()
    assert pool.history.peak() <= 4
    assert pool.history.interrupted() == []


def test_its_own_test_passes_and_the_notes_say_what_comes_next(notes: str) -> None:
    assert "helm test pynenc-operator --namespace pynenc-system --logs" in notes
    assert "/readyz: ok" in OPERATOR.helm("test", OPERATOR.name, "--logs")


def test_a_leader_that_is_gone_is_followed_within_its_lease(pool: Pool) -> None:
    leader = work_while(pool, "gone")
    begun = time.monotonic()
    OPERATOR.remove_without_a_word(leader)
    print(f"another leads {until_moved(leader, begun):.1f} s after the leader was gone")
    nothing_was_lost_or_done_twice(pool)


@pytest.mark.slow
def test_a_leader_that_stands_still_is_followed_and_started_again_and_does_no_harm_then(pool: Pool) -> None:
    leader = work_while(pool, "still")
    begun = time.monotonic()
    OPERATOR.signal(signal.SIGSTOP, leader)
    print(f"another leads {until_moved(leader, begun):.1f} s after the leader stood still")
    nothing_was_lost_or_done_twice(pool)

    def restarts() -> int:
        [status] = read(f"/api/v1/namespaces/{OPERATOR.namespace}/pods/{leader}")["status"]["containerStatuses"]
        return int(status["restartCount"])

    wait_until(restarts, f"the kubelet starts {leader} again: /healthz did not answer", RESTARTED_WITHIN)
    OPERATOR.until_ready()


@pytest.mark.slow
def test_a_drain_of_a_node_takes_one_replica_at_a_time(notes: str) -> None:  # noqa: ARG001
    OPERATOR.until_ready()
    wait_until(lambda: get("pdb", OPERATOR.name, "-n", OPERATOR.namespace)["status"]["disruptionsAllowed"] == 1, "1")
    kubectl("cordon", NODE.name)  # no replacement gets ready in between
    try:
        said = [evict(pod["metadata"]["name"]) for pod in OPERATOR.pods().values()]
    finally:
        kubectl("uncordon", NODE.name)
    assert "Success" in said[0]
    assert "TooManyRequests" in said[1]
    wait_until(lambda: len(OPERATOR.pods()) == 2, "two are there again")
    OPERATOR.until_ready()


def evict(pod: str) -> str:
    """Ask for an eviction, as `kubectl drain` does; what the API server says."""
    meta = {"name": pod, "namespace": OPERATOR.namespace}
    eviction = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta})
    path = f"/api/v1/namespaces/{OPERATOR.namespace}/pods/{pod}/eviction"
    script = f"kubectl create --raw {path} -f - <<< '{eviction}'"
    return told("bash", "-c", script)
