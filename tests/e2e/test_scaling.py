"""Pods follow the queue, the bounds and `kubectl scale`; every task runs once."""

import time
from datetime import datetime

import pytest

from tests.e2e import release
from tests.e2e.kubernetes import kubectl, wait_until
from tests.e2e.pool import Pool
from tests.e2e.taskqueue import UNDISTURBED

COLUMNS = ["NAME", "MIN", "MAX", "DESIRED", "READY", "ACTIVE", "IDLE", "QUEUE", "STATUS", "REASON", "AGE"]


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
    assert (told[0][0], told[0][2].split()[:2]) == ("QueueDepth", ["created", "reports-0,"])


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


def test_a_pod_with_a_free_thread_takes_what_comes_and_no_other_is_made(pool: Pool) -> None:
    pool.apply(maxThreads=4)
    pool.enqueue(("long", 12.0, "long"))
    pool.until_begun("long")
    pool.enqueue(*(("short", 2.0, f"s{n}") for n in range(3)))
    pool.until_begun("s0", "s1", "s2")
    assert pool.queue.succeeded() < 4
    pool.until_succeeded()
    assert len(pool.history.uids()) == 1


def test_a_long_task_under_an_empty_queue_outlives_the_idle_timeout_many_times_over(pool: Pool) -> None:
    pool.apply(idleTimeoutSeconds=1)
    pool.enqueue(("long", 20.0, "long"))
    pool.until_succeeded()
    pool.until_gone()
    assert pool.queue.histories() == {"long": UNDISTURBED}
    assert pool.history.interrupted() == []


def test_shadow_decides_and_does_nothing(pool: Pool) -> None:
    pool.apply(mode="Shadow", minReplicas=2)
    wait_until(lambda: pool.status().get("desiredReplicas") == 2, "the decision is reported")
    assert pool.condition("Ready") == ("False", "Shadow")
    pool.enqueue(("short", 0.5, "waits"))
    wait_until(lambda: pool.status().get("queueDepth") == 1, "the queue is counted")
    assert pool.history.all() == []
    pool.change(mode="Auto")
    pool.until_succeeded()


@pytest.mark.slow
def test_pods_that_pend_for_half_a_minute_are_not_made_again(pool: Pool) -> None:
    label = f"e2e-{pool.namespace}"
    pool.apply(template={"spec": {"nodeSelector": {label: "here"}}})
    pool.enqueue(*(("short", 1.0, f"s{n}") for n in range(4)))
    wait_until(lambda: len(pool.pods()) == 4, "four pods wait for a node")
    time.sleep(30)
    assert len(pool.history.uids()) == 4
    kubectl("label", "nodes", "--all", f"{label}=here")
    try:
        pool.until_succeeded()
    finally:
        kubectl("label", "nodes", "--all", f"{label}-")
    assert len(pool.history.uids()) == 4


@pytest.mark.slow
def test_a_maximum_lowered_from_ten_to_four_under_a_full_queue_interrupts_nobody(pool: Pool) -> None:
    pool.apply(maxReplicas=10)
    pool.enqueue(*(("long", 5.0, f"l{n}") for n in range(40)))
    wait_until(lambda: len(pool.states()) == 10 and "" not in pool.states(), "ten workers", 180)
    pool.change(maxReplicas=4)
    wait_until(lambda: len(pool.pods()) <= 4, "four are left", 180)
    pool.until_succeeded()
    assert pool.history.interrupted() == []
    assert pool.history.peak() == 10
    assert all(history == UNDISTURBED for history in pool.queue.histories().values())


@pytest.mark.slow
def test_a_wave_that_comes_again_before_the_idle_timeout_meets_the_same_pods(pool: Pool) -> None:
    pool.apply(maxReplicas=20, maxThreads=2, idleTimeoutSeconds=60)
    for period in range(4):
        pool.enqueue(*(("short", 5.0, f"{period}-{n}") for n in range(8)))
        time.sleep(20)
    pool.until_succeeded()
    assert len(pool.history.uids()) <= 1.2 * 8 / 2


@pytest.mark.slow
def test_two_operators_at_once_stay_within_the_bound_and_fight_for_nothing(pool: Pool) -> None:
    with release.second():
        pool.apply(maxReplicas=5)
        pool.enqueue(*(("short", 1.0, f"s{n}") for n in range(20)), *(("long", 15.0, f"l{n}") for n in range(2)))
        pool.until_succeeded()
        pool.until_gone()
        wait_until(lambda: pool.status()["replicas"] == 0, "status says zero")
        time.sleep(3)
        versions = len(pool.history.all())
        before = pool.status()
        time.sleep(15)
        assert (len(pool.history.all()), pool.status()) == (versions, before)
    assert pool.history.interrupted() == []
    assert pool.history.peak() <= 2 * 5
