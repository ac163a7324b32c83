"""What pods and a pool at rest cost the API server, counted from its audit log."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.cluster.paths import ClusterPaths
from tests.e2e.pool import Pool, get, wait_until

OPERATOR = "system:serviceaccount:pynenc-system:pynenc-operator"
REST_SECONDS = 30


class Audit:
    """The requests answered since this was made."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._begin = log.stat().st_size

    def of(self, user: str, namespace: str | None = None) -> Counter[tuple[str, str]]:
        """(verb, resource) of a user's requests, watches counted by their starts."""
        counts: Counter[tuple[str, str]] = Counter()
        with self._log.open() as lines:
            lines.seek(self._begin)
            for line in lines:
                entry = json.loads(line)
                target = entry.get("objectRef", {})
                if not entry["user"]["username"].startswith(user):
                    continue
                if namespace and target.get("namespace") != namespace:
                    continue
                parts = (target.get("resource", entry["requestURI"]), target.get("subresource"))
                counts[entry["verb"], "/".join(part for part in parts if part)] += 1
        return counts


def others(pool: Pool) -> list[str]:
    """Runners and workers that other tests have left, and that still cost something."""
    found = get("mtr,pods", "--all-namespaces", "--selector=app.kubernetes.io/name!=redis")["items"]
    places = [item["metadata"]["namespace"] for item in found]
    return [place for place in places if place.startswith("e2e-") and place != pool.namespace]


@pytest.fixture
def audit() -> Audit:
    return Audit(ClusterPaths.current().audit_log)


def test_a_pod_costs_three_writes_of_the_operator_and_four_of_its_worker(pool: Pool, audit: Audit) -> None:
    pool.apply(idleTimeoutSeconds=8)
    pool.enqueue(("short", 12.0, "only"))
    wait_until(lambda: pool.count("success") == 1, "the task succeeds")
    wait_until(pool.gone, "the pod goes")
    operator = audit.of(OPERATOR, pool.namespace)
    writes = {key: count for key, count in operator.items() if key[0] not in {"get", "list", "watch"}}
    about_pods = {key: count for key, count in writes.items() if key[1].startswith("pods")}
    # One creation is a dry run: the template is tried once.
    assert about_pods == {("create", "pods"): 2, ("patch", "pods/status"): 1, ("delete", "pods"): 1}
    worker = audit.of(f"system:serviceaccount:{pool.namespace}:pynenc-worker", pool.namespace)
    assert worker == {("patch", "pods/status"): 4}


def test_a_pool_at_rest_costs_the_lease_and_nothing_else(pool: Pool) -> None:
    pool.apply(minReplicas=1)
    wait_until(lambda: list(pool.states().values()) == ["idle"], "the worker rests")
    wait_until(lambda: pool.status().get("readyReplicas") == 1, "status says so")
    wait_until(lambda: others(pool) == [], "what earlier tests have left is gone")
    time.sleep(3)
    audit = Audit(ClusterPaths.current().audit_log)
    time.sleep(REST_SECONDS)
    operator = audit.of(OPERATOR)
    lease = operator.pop(("update", "leases"))
    assert REST_SECONDS / 2 - 3 <= lease <= REST_SECONDS / 2 + 3
    assert {key for key in operator if key[0] != "watch"} == set()
    assert audit.of(f"system:serviceaccount:{pool.namespace}:") == {}
