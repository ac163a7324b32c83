"""A pod leaves when it has nothing to do, and only then, whoever wants it gone and whatever comes in between."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import MakePool
from tests.e2e.history import Seen
from tests.e2e.kubernetes import get, kubectl
from tests.e2e.pool import Pool
from tests.e2e.release import OPERATOR
from tests.e2e.taskqueue import UNDISTURBED
from tests.e2e.together import side_by_side

# When a task comes: how far the pod that has run out of work has come on its way out. It may skip a step or go back.
MOMENTS: dict[str, Callable[[Seen], bool]] = {
    "it says that it is idle": lambda seen: seen.state != "active",
    "it is asked to leave": lambda seen: bool(seen.asked),
    "it has drained": lambda seen: seen.state == "drained",
    "it is being deleted": lambda seen: seen.terminating,
}
ROUNDS = 3


@pytest.mark.fault("cluster", "a busy pod deleted by hand")
@side_by_side
def test_a_deleted_busy_pod_finishes_its_task_and_new_work_goes_elsewhere(pool: Pool) -> None:
    pool.apply()
    pool.enqueue(("long", 10.0, "long"))
    pool.until_begun("long")
    busy = pool.queue.where("long")
    pool.kubectl("delete", "pod", busy, "--wait=false")
    pool.history.wait_for(lambda seen: seen.state == "draining", "the busy worker drains")
    pool.enqueue(("short", 0.5, "later"))
    pool.until_begun("later")
    assert pool.queue.succeeded() < 2  # the first one still runs
    pool.until_succeeded()
    assert pool.queue.where("later") != busy
    assert pool.queue.histories() == {"long": UNDISTURBED, "later": UNDISTURBED}
    last = pool.history.wait_for(lambda seen: seen.name == busy and seen.gone, "the deleted pod goes")
    assert last.state == "drained"


@side_by_side
def test_a_deletion_that_was_decided_before_the_worker_turned_active_is_refused(pool: Pool) -> None:
    pool.apply(minReplicas=1)
    pool.until_states("idle")
    decided_on = pool.pods()["reports-0"]["metadata"]
    pool.enqueue(("long", 3.0, "task"))
    pool.history.wait_for(lambda seen: seen.state == "active", "the worker says that it is active")
    with pytest.raises(AssertionError, match="Conflict"):
        delete_as_the_operator(pool, "reports-0", decided_on["uid"], decided_on["resourceVersion"])
    pool.until_succeeded()
    assert pool.pods()["reports-0"]["metadata"]["uid"] == decided_on["uid"]


def delete_as_the_operator(pool: Pool, name: str, uid: str, version: str) -> None:
    """The operator's request: a deletion on the condition that the pod is what it was."""
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid, "resourceVersion": version}}
    path = f"/api/v1/namespaces/{pool.namespace}/pods/{name}"
    kubectl("delete", "--raw", path, "-f", "-", f"--as={OPERATOR.account}", input=json.dumps(options))


def test_work_that_comes_while_pods_leave_is_neither_lost_nor_interrupted(make_pool: MakePool) -> None:
    """At every step of leaving, many times: the pod takes the work, or is wanted again, or another one is made."""
    with ThreadPoolExecutor(len(MOMENTS)) as threads:
        pools = list(threads.map(lambda _: make_pool(), MOMENTS))
        races = [threads.submit(race, pool, what) for pool, what in zip(pools, MOMENTS, strict=True)]
    stayed = [race.result() for race in races]
    assert stayed[-1] == 0  # a pod that is being deleted takes nothing
    for pool in pools:
        pool.until_succeeded()
        assert pool.history.interrupted() == []
        assert pool.history.peak() <= 2


def race(pool: Pool, what: str) -> int:
    """Enqueue just then, each time a little later than that; how often the very pod took the work."""
    pool.apply(idleTimeoutSeconds=1, maxReplicas=2)
    stayed = 0
    leaving = ""
    for number in range(ROUNDS + 1):
        tasks = (f"{number}a", f"{number}b")
        pool.enqueue(*(("short", 0.2, name) for name in tasks))
        pool.until_begun(*tasks)
        first = next(execution for execution in pool.queue.begun() if execution["name"] == tasks[0])
        pod = [seen.uid for seen in pool.history.all() if seen.name == first["pod"] and seen.at < first["started"]][-1]
        stayed += pod == leaving
        leaving = pod
        if number < ROUNDS:
            leave_until(pool, pod, what, after=first["started"])
            time.sleep(0.1 * number)
    return stayed


def leave_until(pool: Pool, pod: str, what: str, *, after: float) -> None:
    """Wait until this pod, in which a task has begun at `after`, has come so far on its way out."""

    def works(seen: Seen) -> bool:
        return seen.uid == pod and seen.at > after and seen.state in {"active", "draining", "drained"}

    begin = pool.history.wait_for(works, "it says that it works").at
    pool.history.wait_for(lambda seen: seen.uid == pod and seen.at >= begin and MOMENTS[what](seen), what)


@side_by_side
def test_a_drain_is_taken_back_when_the_pod_is_wanted_again(pool: Pool) -> None:
    pool.apply(maxReplicas=1, maxThreads=2)
    pool.enqueue(("long", 25.0, "long"))
    pool.until_begun("long")
    pool.change(maxReplicas=0)
    pool.history.wait_for(lambda seen: seen.state == "draining", "the busy worker drains")
    time.sleep(1)  # what is taken in the very moment of the request is still run
    pool.enqueue(("short", 0.5, "later"))
    pool.change(maxReplicas=1)
    pool.until_begun("later")
    assert pool.queue.succeeded() < 2  # the first one still runs
    pool.until_succeeded()
    assert len(pool.history.uids()) == 1
    assert [event[:2] for event in pool.events()] == [
        ("QueueDepth", "Create"),
        ("AboveMaximum", "Drain"),
        ("QueueDepth", "CancelDrain"),
    ]


@side_by_side
def test_deleting_the_runner_lets_its_busy_pod_finish(pool: Pool) -> None:
    pool.apply(minReplicas=2)
    pool.until_states("idle", "idle")
    pool.enqueue(("long", 8.0, "long"))
    pool.until_begun("long")
    pool.kubectl("delete", "mtr", "reports")
    pool.history.wait_for(lambda seen: seen.state == "draining", "the busy worker drains")
    assert pool.queue.succeeded() == 0
    pool.until_succeeded()
    assert pool.queue.histories() == {"long": UNDISTURBED}
    pool.until_gone()
    assert get("mtr,pods", "-n", pool.namespace, "-l", "app.kubernetes.io/name!=redis")["items"] == []
