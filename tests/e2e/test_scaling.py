"""Pods follow the queue, the bounds and `kubectl scale`; every task runs once."""

from datetime import datetime

from tests.e2e.kubernetes import wait_until
from tests.e2e.pool import Pool
from tests.e2e.taskqueue import UNDISTURBED
from tests.e2e.together import side_by_side

COLUMNS = ["NAME", "MIN", "MAX", "DESIRED", "READY", "ACTIVE", "IDLE", "QUEUE", "STATUS", "REASON", "AGE"]


@side_by_side
def test_from_zero_to_many_and_back_with_every_task_run_once(pool: Pool) -> None:
    pool.apply(maxReplicas=5)
    pool.kubectl("wait", "mtr/reports", "--for=condition=Ready", "--timeout=60s")
    assert pool.condition("Ready") == ("True", "AtZero")
    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(10)), *(("long", 12.0, f"l{n}") for n in range(3)))
    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(10, 20)))
    pool.until_begun("l0")
    first = pool.history.all()[0]
    assert (first.name, first.state) == ("reports-0", "")
    assert first.at < min(execution["started"] for execution in pool.queue.begun())
    header, row = (line.split() for line in pool.kubectl("get", "mtr").splitlines())
    assert header == COLUMNS
    assert row[:3] == ["reports", "0", "5"]

    pool.until_succeeded()
    pool.until_gone()
    assert all(history == UNDISTURBED for history in pool.queue.histories().values())
    assert pool.history.peak() == 5
    assert pool.history.interrupted() == []
    assert pool.queue.length() == 0

    wait_until(lambda: pool.status()["replicas"] == 0, "status says zero")
    status = pool.status()
    assert (status["desiredReplicas"], status["lastScaleReason"]) == (0, "IdleTimeout")
    assert datetime.fromisoformat(status["lastScaleTime"]).timestamp() >= int(first.at)
    told = pool.events()
    assert {event[:2] for event in told} == {("QueueDepth", "Create"), ("IdleTimeout", "Drain"), ("Drained", "Delete")}
    assert told[0][0] == "QueueDepth"
    assert told[0][2].split()[:2] in (["created", "reports-0"], ["created", "reports-0,"])  # before the others, or with


@side_by_side
def test_bounds_pins_and_modes_hold_whatever_the_queue_says(pool: Pool) -> None:
    pool.apply(minReplicas=1, maxReplicas=3)
    pool.until_states("idle")
    assert pool.status()["lastScaleReason"] == "MinReplicas"

    pool.kubectl("scale", "mtr/reports", "--replicas=3")
    pool.until_states("idle", "idle", "idle")
    pool.kubectl("scale", "mtr/reports", "--replicas=0")
    pool.until_gone()
    assert pool.status()["lastScaleReason"] == "Pinned"
    assert pool.history.interrupted() == []
    pool.enqueue(("short", 0.5, "waits"))
    wait_until(lambda: pool.status().get("queueDepth") == 1, "the operator sees what a pin of 0 leaves alone")
    assert pool.pods() == {}

    pool.change(replicas=None, mode="Paused")
    wait_until(lambda: pool.condition("Ready") == ("False", "Paused"), "the runner says that it is paused")
    assert pool.pods() == {}

    pool.change(mode="Auto", enforceMaxReplicas=True)
    pool.until_succeeded()
    wait_until(lambda: pool.status().get("idleReplicas") == 3, "the pool is kept full")
    assert pool.status()["lastScaleReason"] == "EnforcedMaximum"


@side_by_side
def test_a_lowered_maximum_lets_busy_pods_finish(pool: Pool) -> None:
    pool.apply(maxReplicas=3)
    pool.enqueue(*(("long", 10.0, f"l{n}") for n in range(3)))
    pool.until_begun("l0", "l1", "l2")
    pool.change(maxReplicas=1)
    wait_until(lambda: pool.status().get("drainingReplicas") == 2, "two are asked to leave")
    pool.enqueue(("short", 0.5, "later"))
    pool.until_succeeded()
    wait_until(lambda: len(pool.pods()) <= 1, "the pool is at its maximum")
    assert len(pool.history.uids()) == 3
    assert pool.history.interrupted() == []
    assert ("AboveMaximum", "Drain") in {event[:2] for event in pool.events()}
