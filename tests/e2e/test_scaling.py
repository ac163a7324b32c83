"""Pods follow the queue, and no task is interrupted or run twice."""

from collections.abc import Callable

from tests.e2e.pool import Pool, kubectl, wait_until

COLUMNS = ["MIN", "MAX", "DESIRED", "READY", "ACTIVE", "IDLE", "QUEUE", "STATUS", "REASON", "AGE"]


def test_from_zero_to_many_and_back_with_every_task_run_once(pool: Pool) -> None:
    pool.apply(maxReplicas=5)
    kubectl("wait", "-n", pool.namespace, "mtr/reports", "--for=condition=Ready", "--timeout=60s")
    assert pool.pods() == {}
    names = [f"s{n}" for n in range(20)] + ["l0", "l1", "l2"]
    pool.enqueue(*(("long" if name[0] == "l" else "short", 15.0 if name[0] == "l" else 0.5, name) for name in names))

    peak = 0

    def done() -> bool:
        nonlocal peak
        peak = max(peak, len(pool.pods()))
        return pool.count("success") == len(names)

    wait_until(done, "every task succeeds")
    wait_until(pool.gone, "the pool comes back to zero")
    assert pool.executions() == dict.fromkeys(names, 1)
    assert peak == 5
    assert pool.queued() == 0
    assert {"QueueDepth", "IdleTimeout", "Drained"} <= pool.reasons()
    columns = pool.kubectl("get", "mtr", "reports").splitlines()[0]
    assert columns.split() == ["NAME", *COLUMNS]
    wait_until(lambda: pool.status()["replicas"] == 0, "status says zero")
    status = pool.status()
    assert (status["desiredReplicas"], status["lastScaleReason"]) == (0, "IdleTimeout")


def test_a_deleted_busy_pod_finishes_its_task_and_new_work_goes_elsewhere(pool: Pool) -> None:
    pool.apply()
    pool.enqueue(("long", 12.0, "long"))
    busy = wait_until(lambda: pool.where("long"), "the task begins")
    pool.kubectl("delete", "pod", busy, "--wait=false")
    pool.enqueue(("short", 0.5, "later"))
    wait_until(lambda: pool.count("success") == 2, "both tasks succeed")
    assert pool.executions() == {"long": 1, "later": 1}
    assert pool.where("later") != busy
    assert pool.count("rerouted") == 0


def test_work_that_comes_while_a_pod_leaves_is_never_lost_and_never_interrupted(pool: Pool) -> None:
    """Enqueue just when the drain request is there: the worker takes the task, or it goes to whoever serves next."""
    pool.apply(idleTimeoutSeconds=1, maxReplicas=1)
    for attempt in range(5):
        name = f"race{attempt}"
        pool.enqueue(("short", 2.0, f"first{attempt}"))
        wait_until(lambda a=attempt: pool.executions().get(f"first{a}"), "the pod works")  # type: ignore[misc]
        wait_until(_asked_to_leave(pool), "the idle pod is asked to leave")
        pool.enqueue(("short", 2.0, name))
        wait_until(lambda n=name: pool.executions().get(n), "the task that came in between begins")  # type: ignore[misc]
    wait_until(lambda: pool.count("success") == 10, "all tasks succeed")
    assert set(pool.executions().values()) == {1}
    assert pool.count("rerouted") == 0


def test_a_drain_is_taken_back_when_the_pod_is_wanted_again(pool: Pool) -> None:
    pool.apply(maxReplicas=2)
    pool.enqueue(("long", 25.0, "l0"), ("long", 25.0, "l1"))
    wait_until(lambda: len(pool.executions()) == 2, "both begin")
    before = {name: pod["metadata"]["uid"] for name, pod in pool.pods().items()}
    pool.kubectl("patch", "mtr", "reports", "--type=merge", "-p", '{"spec":{"maxReplicas":1}}')
    wait_until(lambda: "draining" in pool.states().values(), "a busy pod is draining")
    pool.kubectl("patch", "mtr", "reports", "--type=merge", "-p", '{"spec":{"maxReplicas":2,"minReplicas":2}}')
    wait_until(lambda: list(pool.states().values()) == ["active", "active"], "both serve again")
    pool.enqueue(*(("short", 3.0, f"s{n}") for n in range(2)))
    wait_until(lambda: pool.count("success") == 4, "every task succeeds")
    assert {name: pod["metadata"]["uid"] for name, pod in pool.pods().items()} == before
    assert {pool.where("s0"), pool.where("s1")} == set(before)
    assert set(pool.executions().values()) == {1}


def test_a_lowered_maximum_lets_busy_pods_finish(pool: Pool) -> None:
    pool.apply(maxReplicas=3)
    pool.enqueue(*(("long", 12.0, f"l{n}") for n in range(3)))
    wait_until(lambda: len(pool.executions()) == 3, "three begin")
    pool.kubectl("patch", "mtr", "reports", "--type=merge", "-p", '{"spec":{"maxReplicas":1}}')
    wait_until(lambda: pool.count("success") == 3, "all three finish")
    wait_until(lambda: len(pool.pods()) <= 1, "the pool is at its maximum")
    assert set(pool.executions().values()) == {1}
    assert "AboveMaximum" in pool.reasons()


def test_an_operator_that_is_killed_goes_on_from_what_the_api_says(pool: Pool) -> None:
    pool.apply(maxReplicas=3)
    names = [f"s{n}" for n in range(12)]
    pool.enqueue(("long", 15.0, "long"), *(("short", 1.0, name) for name in names))
    wait_until(lambda: len(pool.executions()) >= 3, "work begins")
    kubectl(
        "delete",
        "pod",
        "-n",
        "pynenc-system",
        "-l",
        "app.kubernetes.io/name=pynenc-operator",
        "--grace-period=0",
        "--force",
    )
    wait_until(lambda: pool.count("success") == 13, "every task succeeds")
    wait_until(pool.gone, "the pool comes back to zero")
    assert set(pool.executions().values()) == {1}


def test_deleting_the_runner_drains_its_pods(pool: Pool) -> None:
    pool.apply()
    pool.enqueue(("long", 12.0, "long"))
    wait_until(lambda: pool.where("long"), "the task begins")
    pool.kubectl("delete", "mtr", "reports", "--wait=false")
    wait_until(lambda: pool.count("success") == 1, "the task succeeds")
    wait_until(pool.gone, "its pod goes")
    assert pool.executions() == {"long": 1}


def _asked_to_leave(pool: Pool) -> Callable[[], bool]:
    return lambda: any(
        "pynenc.org/drain-request" in pod["metadata"].get("annotations", {}) for pod in pool.pods().values()
    )
