"""Nobody's invocations are forgotten: what a worker held that died runs again, without anyone enqueuing anything."""

import time

import pytest

from tests.e2e import node, release
from tests.e2e.kubernetes import get, wait_until
from tests.e2e.pool import Pool


def begin_one(pool: Pool, seconds: float = 6.0) -> str:
    """Have a single task begin in a single pod; the pod's uid."""
    pool.apply(maxReplicas=2)
    pool.enqueue(("long", seconds, "task"))
    pool.until_begun("task")
    pool.history.wait_for(lambda seen: seen.state == "active", "the worker says that it is active")
    [pod] = pool.pods().values()
    uid: str = pod["metadata"]["uid"]
    return uid


def until_run_again(pool: Pool, seconds: float) -> float:
    """Wait until the task has begun a second time and succeeded; the seconds until it had begun."""
    begun = time.monotonic()
    wait_until(lambda: pool.queue.executions()["task"] == 2, "the task runs again", seconds)
    took = time.monotonic() - begun
    wait_until(lambda: pool.queue.succeeded() == 1, "the task succeeds")
    history = pool.queue.histories()["task"]
    assert (history[-1], history.count("running")) == ("success", 2), history
    return took


def test_the_task_of_the_only_worker_runs_again_within_seconds_of_its_kill(pool: Pool) -> None:
    uid = begin_one(pool)
    node.kill(uid)
    took = until_run_again(pool, 60)
    print(f"begun again {took:.1f} s after the kill")
    assert took < 20
    reasons = [event[:2] for event in pool.events()]
    assert reasons.count(("WorkerDied", "Create")) == 1
    wait_until(lambda: ("Recovered", "Recover") in [event[:2] for event in pool.events()], "the recovery is told")
    wait_until(lambda: pool.status().get("activeReplicas", 0) + pool.status().get("idleReplicas", 0) == 0, "it ends")
    assert set(pool.queue.executions().values()) == {2}
    dead = pool.pods()["reports-0"]  # it stays for `kubectl logs`
    assert dead["metadata"]["annotations"]["pynenc.org/recovered-by"] == "reports-1"


def test_the_task_of_a_busy_pod_that_got_too_little_grace_runs_again(pool: Pool) -> None:
    begin_one(pool, 15.0)
    pool.kubectl("delete", "pod", "reports-0", "--grace-period=5", "--wait=false")
    until_run_again(pool, 60)


def test_an_image_that_crashes_at_import_starts_no_recovery_of_itself(pool: Pool) -> None:
    pool.apply(app="reports.nothing_of_this_name", maxReplicas=2)
    pool.enqueue(("short", 0.5, "task"))
    wait_until(lambda: pool.condition("Progressing")[0] == "False", "the template fails")
    time.sleep(10)
    assert pool.condition("RecoveryPending") == ("", "")
    assert not [event for event in pool.events() if event[0] in ("WorkerDied", "OrphanedInvocations")]
    pool.change(app="reports.tasks")
    pool.until_succeeded()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_task_of_a_pod_that_vanished_without_a_word_runs_again(pool: Pool) -> None:
    uid = begin_one(pool, 20.0)
    pool.kubectl("delete", "pod", "reports-0", "--force", "--grace-period=0", "--wait=false")
    node.kill(uid)
    print(f"begun again after {until_run_again(pool, 900):.0f} s")


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_task_of_a_worker_that_died_while_no_operator_ran_runs_again(pool: Pool) -> None:
    uid = begin_one(pool, 20.0)
    with release.away():
        pool.kubectl("delete", "pod", "reports-0", "--force", "--grace-period=0", "--wait=false")
        node.kill(uid)
        wait_until(lambda: not get("pods", "-n", pool.namespace, "-l", "pynenc.org/runner")["items"], "it is gone")
    print(f"begun again after {until_run_again(pool, 900):.0f} s")
