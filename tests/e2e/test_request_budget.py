"""What pods and a pool at rest cost the API server, counted from its audit log."""

import time

from tests.e2e.audit import READS, Audit
from tests.e2e.conftest import MakePool
from tests.e2e.kubernetes import get, wait_until
from tests.e2e.pool import NAMESPACES, Pool
from tests.e2e.release import OPERATOR

REST_SECONDS = 30
LEASE_SECONDS = 2  # between two renewals


def elsewhere(*pools: Pool) -> list[str]:
    """Namespaces in which other tests have left runners and workers that still cost something."""
    found = get("mtr,pods", "--all-namespaces", "--selector=app.kubernetes.io/name!=redis")["items"]
    places = {item["metadata"]["namespace"] for item in found} - {pool.namespace for pool in pools}
    return [place for place in places if place.startswith(NAMESPACES)]


def test_a_pod_costs_three_writes_of_the_operator_and_four_of_its_worker(pool: Pool) -> None:
    audit = Audit()
    pool.apply(idleTimeoutSeconds=6)
    pool.enqueue(("long", 10.0, "only"))
    pool.until_succeeded()
    pool.until_gone()
    assert len(pool.history.uids()) == 1
    operator = audit.of(OPERATOR.account, pool.namespace)
    about_pods = {key: n for key, n in operator.items() if key[0] not in READS and key[1].startswith("pods")}
    assert about_pods == {
        ("create (dry run)", "pods"): 1,  # once for each template
        ("create", "pods"): 1,
        ("patch", "pods/status"): 1,
        ("delete", "pods"): 1,
    }
    # Of the rest: an event for each deed, and of the runner's status no more than there were changes.
    assert operator["create", "events"] == 3
    assert operator["patch", "multithreadrunners/status"] <= 12
    worker = audit.of(f"system:serviceaccount:{pool.namespace}:")
    assert worker == {("patch", "pods/status"): 4}  # idle, active, idle, drained


def test_a_pool_at_rest_costs_the_lease_and_nothing_else_nor_does_one_without_its_broker(make_pool: MakePool) -> None:
    resting, stranded = make_pool(), make_pool()
    stranded.apply()
    wait_until(lambda: stranded.condition("BrokerReachable") == ("True", "Counted"), "the queue is counted")
    stranded.kubectl("scale", "deployment/redis", "--replicas=0")
    resting.apply(minReplicas=1)
    wait_until(lambda: resting.status().get("idleReplicas") == 1, "the worker rests")
    wait_until(lambda: stranded.condition("BrokerReachable") == ("False", "Unreachable"), "the outage is told")
    wait_until(lambda: elsewhere(resting, stranded) == [], "what earlier tests have left is gone")
    time.sleep(2)  # for what they have set off
    audit = Audit()
    time.sleep(REST_SECONDS)
    operator = audit.of(OPERATOR.account)
    renewals = operator.pop(("update", "leases"))
    assert abs(renewals - REST_SECONDS / LEASE_SECONDS) <= 2
    assert {key for key in operator if key[0] != "watch"} == set()
    assert audit.of(f"system:serviceaccount:{resting.namespace}:") == {}
    assert stranded.condition("Ready") == ("False", "BrokerUnreachable")
