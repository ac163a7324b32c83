"""Workers that die, hang or are taken away: what they ran is run again, and what they did in order is no failure."""

import json
import signal
import time

import pytest

from tests.e2e import usercode
from tests.e2e.kubernetes import kubectl, wait_until
from tests.e2e.pool import Pool
from tests.e2e.taskqueue import UNDISTURBED
from tests.e2e.together import side_by_side

# The promise is 20 s; the machine may be slow.
SOON = 30


def evict(pool: Pool, pod: str) -> None:
    """Ask for a pod's eviction, as `kubectl drain` does."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": pool.namespace}}
    path = f"/api/v1/namespaces/{pool.namespace}/pods/{pod}/eviction"
    kubectl("create", "--raw", path, "-f", "-", input=json.dumps(body))


def begin(pool: Pool, name: str = "task", seconds: float = 20.0) -> str:
    """Let the only worker take a task; its pod."""
    pool.enqueue(("long", seconds, name))
    pool.until_begun(name)
    return pool.queue.where(name)


def until_run_again(pool: Pool, name: str, since: float, seconds: float) -> None:
    """Wait until a task runs the second time, to its end; says how long it took from `since` (monotonic)."""
    pool.until_begun(name, times=2, seconds=seconds)
    pool.outcome.recovered = round(time.monotonic() - since, 1)
    print(f"{pool.namespace}: {name} ran again {pool.outcome.recovered} s after its worker's death")
    pool.until_succeeded(again=(name,), why="its worker had died")


@pytest.mark.fault("cluster", "an idle and then a busy pod evicted")
@side_by_side
def test_an_evicted_idle_pod_is_replaced_and_an_evicted_busy_one_finishes_and_neither_is_a_failure(pool: Pool) -> None:
    pool.apply(minReplicas=1, maxReplicas=2)
    pool.until_states("idle")
    evict(pool, "reports-0")
    wait_until(lambda: len(pool.history.uids()) == 2 and pool.states() == ["idle"], "another one serves")
    busy = begin(pool, "task", 15.0)
    evict(pool, busy)
    pool.history.wait_for(lambda seen: seen.state == "draining", "the busy worker drains")
    wait_until(lambda: pool.states() == ["idle"], "another one serves")
    assert pool.queue.succeeded() == 0  # the task still runs
    pool.until_succeeded()
    assert pool.queue.histories() == {"task": UNDISTURBED}
    for pod in ("reports-0", busy):
        last = pool.history.wait_for(lambda seen: seen.gone and seen.name == pod, "it goes")  # noqa: B023 - called at once
        assert last.state == "drained"
    assert "failures" not in pool.status()
    assert "Recover" not in {action for _, action, _ in pool.events()}


@pytest.mark.fault("workers", "busy worker deleted with a grace shorter than its task")
@pytest.mark.slow
@side_by_side
def test_a_busy_worker_deleted_with_too_short_a_grace_has_its_task_run_again(pool: Pool) -> None:
    pool.apply()
    busy = begin(pool)
    pool.kubectl("delete", "pod", busy, "--grace-period=5", "--wait=false")
    until_run_again(pool, "task", time.monotonic() + 5, 5 + 60)


@pytest.mark.fault("workers", "the only worker killed while busy")
@side_by_side
def test_the_task_of_the_only_worker_that_is_killed_runs_again_without_another_call(pool: Pool) -> None:
    pool.apply()
    busy = begin(pool)
    pool.signal(busy, signal.SIGKILL)
    until_run_again(pool, "task", time.monotonic(), SOON)


@pytest.mark.fault("workers", "the only worker out of memory by its task")
@pytest.mark.slow
@side_by_side
def test_the_task_of_the_only_worker_that_runs_out_of_memory_runs_again(pool: Pool) -> None:
    usercode.write(pool, usercode.GROWS)
    pool.apply(template=usercode.template(resources={"limits": {"memory": "256Mi"}}))
    name = f"{usercode.GREEDY}-task"
    begin(pool, name, 2.0)
    ended = pool.history.wait_for(lambda seen: seen.ended, "it is killed")
    until_run_again(pool, name, time.monotonic() - (time.time() - ended.at), SOON)
    wait_until(lambda: pool.status()["replicas"] == 0, "the pool is at zero")  # the dead pod is kept for its log


@pytest.mark.fault("workers", "the only worker deleted by force while busy")
@pytest.mark.slow
@pytest.mark.timeout(1500)
@side_by_side
def test_the_task_of_a_worker_that_is_deleted_by_force_runs_again_within_a_quarter_of_an_hour(pool: Pool) -> None:
    pool.apply()
    busy = begin(pool)
    pool.remove_by_force(busy)
    until_run_again(pool, "task", time.monotonic(), 900)


@pytest.mark.fault("workers", "an idle worker stopped (SIGSTOP) for ever")
@pytest.mark.slow
@side_by_side
def test_a_worker_that_hangs_while_idle_is_taken_out_and_the_others_work_on(pool: Pool) -> None:
    pool.apply(minReplicas=2, maxReplicas=3, drainTimeoutSeconds=5)
    pool.until_states("idle", "idle")
    hanging = pool.pods()["reports-0"]["metadata"]["uid"]
    pool.signal("reports-0", signal.SIGSTOP)
    pool.enqueue(*(("short", 1.0, f"s{n}") for n in range(90)))
    asked = pool.history.wait_for(lambda seen: seen.asked.startswith("hanging."), "it is asked to leave", seconds=90)
    assert asked.uid == hanging
    pool.until_succeeded(seconds=180)
    assert pool.history.peak() <= 3
    assert len(pool.history.uids()) >= 3  # another one has come in its place
    pool.history.wait_for(lambda seen: seen.uid == hanging and seen.gone, "it is gone at last", seconds=180)
    assert {s.split()[1] for s in pool.history.interrupted()} <= {"reports-0"}
