"""Tasks that treat their worker badly: what fails fails once, and only what a dead worker ran runs again."""

import pytest

from tests.e2e import usercode
from tests.e2e.kubernetes import wait_until
from tests.e2e.pool import Pool
from tests.e2e.taskqueue import UNDISTURBED
from tests.e2e.together import side_by_side

FAILED = ["registered", "pending", "running", "failed"]
GIL_SECONDS = 90


def uid(pool: Pool, task: str) -> str:
    """The pod that has begun a task."""
    return str(pool.pods()[pool.queue.where(task)]["metadata"]["uid"])


@pytest.mark.fault("workers", "tasks of an unknown module, of no such name, that raise, that exit; good ones between")
@side_by_side
def test_tasks_that_fail_in_every_way_fail_once_and_cost_no_worker(pool: Pool) -> None:
    usercode.write(pool, usercode.ODD)
    pool.apply(maxReplicas=1, maxThreads=2, template=usercode.template())
    bad = [("stray", 0, "no-module"), ("long", 0, "no-function"), ("short", 0, "raises-1"), ("short", 0, "exits-1")]
    pool.queue.enqueue(*(task for n, one in enumerate(bad) for task in (one, ("short", 0.5, f"good-{n}"))))

    def all_ended() -> bool:
        ends = [history[-1] for history in pool.queue.histories().values()]
        return sorted(ends) == ["failed"] * len(bad) + ["success"] * len(bad)

    wait_until(all_ended, "each has its end")
    histories = pool.queue.histories()
    assert histories["raises-1"] == histories["exits-1"] == FAILED
    assert all(histories[f"good-{n}"] == UNDISTURBED for n in range(len(bad)))
    executions = pool.queue.executions()
    assert executions == {name: 1 for name in histories if not name.startswith("no-")}
    assert pool.queue.unfinished() == 0
    pool.outcome.tasks, pool.outcome.executions = len(histories), executions.total()
    pool.until_gone()
    assert len(pool.history.uids()) == 1
    assert pool.history.interrupted() == []
    assert "failures" not in pool.status()


@pytest.mark.fault("workers", "a task that ends its worker's process (os._exit), beside one that does not")
@pytest.mark.slow
@side_by_side
def test_a_task_that_ends_the_process_runs_again_and_so_does_its_neighbour(pool: Pool) -> None:
    usercode.write(pool, usercode.ODD)
    pool.apply(maxReplicas=2, maxThreads=2, template=usercode.template())
    pool.enqueue(("short", 20.0, "neighbour"))
    pool.until_begun("neighbour")
    pool.enqueue(("short", 1.0, "dies-1"))
    pool.history.wait_for(lambda seen: seen.ended, "the process has ended")
    pool.fault_is_over()
    again = ("dies-1", "neighbour") if pool.queue.where("dies-1") == pool.queue.where("neighbour") else ("dies-1",)
    pool.until_recovered(lambda: all(pool.queue.executions()[name] == 2 for name in again), "what it ran runs again")
    pool.until_succeeded(again=again, why="its worker had died")
    assert pool.history.interrupted() == []
    wait_until(lambda: pool.status().get("replicas") == 0, "the pool is at zero")


@pytest.mark.fault("workers", "a task that makes its worker's process ignore SIGTERM; then its idle pod is to leave")
@pytest.mark.slow
@side_by_side
def test_a_worker_that_a_task_has_made_deaf_to_sigterm_leaves_all_the_same(pool: Pool) -> None:
    usercode.write(pool, usercode.ODD)
    pool.apply(maxReplicas=1, template=usercode.template())
    pool.enqueue(("short", 1.0, "deaf-1"))
    pool.until_succeeded()
    pool.fault_is_over()
    pool.history.wait_for(lambda seen: seen.terminating, "its pod is deleted")
    wait_until(lambda: not pool.all_uids(), "it is gone", 90)
    pool.enqueue(("short", 1.0, "after"))
    pool.until_succeeded()
    assert pool.history.interrupted() == []


@pytest.mark.fault("workers", "a busy pod deleted whose task has made it ignore SIGTERM")
@pytest.mark.slow
@side_by_side
def test_a_deaf_busy_worker_whose_pod_is_deleted_finishes_its_task_and_leaves(pool: Pool) -> None:
    usercode.write(pool, usercode.ODD)
    pool.apply(maxReplicas=2, template=usercode.template())
    pool.enqueue(("short", 20.0, "deaf-1"))
    pool.until_begun("deaf-1")
    pool.history.wait_for(lambda seen: seen.state == "active", "it says that it is active")
    busy = uid(pool, "deaf-1")
    pool.kubectl("delete", "pod", pool.queue.where("deaf-1"), "--wait=false")
    pool.fault_is_over()
    pool.enqueue(("short", 1.0, "after"))
    pool.until_recovered(lambda: pool.queue.executions()["after"], "another one takes the next task")
    pool.until_succeeded()
    pool.history.wait_for(lambda seen: seen.uid == busy and seen.gone, "it is gone", seconds=90)
    assert pool.queue.histories()["deaf-1"] == UNDISTURBED


@pytest.mark.fault("workers", f"a task that holds the GIL for {GIL_SECONDS} s")
@pytest.mark.slow
@side_by_side
def test_a_worker_that_can_not_speak_while_its_task_holds_the_gil_is_left_alone(pool: Pool) -> None:
    usercode.write(pool, usercode.ODD)
    pool.apply(maxReplicas=2, template=usercode.template())
    pool.enqueue(("short", GIL_SECONDS, "holds-1"))
    pool.until_begun("holds-1")
    holder = uid(pool, "holds-1")
    pool.enqueue(*(("short", 1.0, f"s{n}") for n in range(6)))
    pool.until_begun(*(f"s{n}" for n in range(6)))
    assert pool.queue.succeeded() < 7  # the first one still runs
    assert holder in pool.all_uids()
    pool.until_succeeded()
    pool.fault_is_over()
    assert pool.queue.histories()["holds-1"] == UNDISTURBED
    assert pool.history.interrupted() == []
    assert pool.history.peak() <= 2
    pool.until_gone()
