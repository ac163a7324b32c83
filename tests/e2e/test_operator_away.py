"""Workers go on without an operator, and the next one goes on from what the API says; so do two at once."""

import signal
import time
from collections.abc import Iterator

import pytest

from tests.e2e import usercode
from tests.e2e.audit import Audit
from tests.e2e.conftest import MakePool
from tests.e2e.kubernetes import get, wait_until
from tests.e2e.pool import Pool
from tests.e2e.release import OPERATOR, second

# pynenc takes a runner for dead after 10 minutes without heartbeat; the promise is 15.
QUARTER_OF_AN_HOUR = 900
# Of a task that must still run when the operator has gone.
AWAY_SECONDS = 40.0


@pytest.fixture(scope="module")
def left_behind(operator: None) -> Iterator[Pool]:  # noqa: ARG001
    """A pool whose only worker was deleted by force, with its task, while no operator was there to see it."""
    pool = Pool("left-behind")
    try:
        pool.apply()
        pool.enqueue(("long", AWAY_SECONDS, "task"))
        pool.until_begun("task")
        with OPERATOR.away():
            pool.remove_by_force(pool.queue.where("task"))
        yield pool
    finally:
        pool.close()


@pytest.mark.fault("operator", "away while the only worker was killed")
@pytest.mark.slow
@pytest.mark.usefixtures("left_behind")  # which takes long: what stands between here and the end of the module
def test_a_worker_that_is_killed_while_no_operator_is_there_has_its_task_run_again(pool: Pool) -> None:
    pool.apply()
    pool.enqueue(("long", AWAY_SECONDS, "task"))
    pool.until_begun("task")
    with OPERATOR.away():
        pool.signal(pool.queue.where("task"), signal.SIGKILL)
        pool.history.wait_for(lambda seen: seen.ended, "it is killed")
    pool.fault_is_over()
    pool.until_recovered(lambda: pool.queue.executions()["task"] == 2, "the task runs again", QUARTER_OF_AN_HOUR)
    pool.until_succeeded(again=("task",), why="its worker had died")


@pytest.mark.fault("operator", "killed while a worker is busy and more are wanted")
def test_an_operator_that_is_killed_under_load_leaves_nothing_undone(pool: Pool) -> None:
    pool.apply(maxReplicas=3)
    pool.enqueue(("long", 8.0, "long"))
    pool.until_begun("long")
    before = set(OPERATOR.pods())
    OPERATOR.remove_by_force()
    pool.enqueue(*(("short", 1.0, f"s{n}") for n in range(8)))
    pool.until_succeeded()
    pool.until_gone()
    assert set(OPERATOR.pods()).isdisjoint(before)
    assert pool.history.interrupted() == []
    assert pool.history.peak() <= 3


@pytest.mark.fault("operator", "killed under five busy and three idle workers")
@pytest.mark.slow
def test_an_operator_killed_with_five_busy_and_three_idle_lets_the_idle_ones_leave_and_interrupts_nothing(
    pool: Pool,
) -> None:
    busy, idle = [f"busy-{n}" for n in range(5)], [f"idle-{n}" for n in range(3)]
    usercode.write(pool, usercode.WAITS)  # a kubelet may hand a drain request on a minute late
    pool.apply(maxReplicas=8, idleTimeoutSeconds=20, template=usercode.template())
    pool.enqueue(*(("long", 0, name) for name in (*busy, *idle)))
    pool.until_begun(*busy, *idle)
    pool.queue.let_end(*idle)
    wait_until(lambda: sorted(pool.states()) == ["active"] * 5 + ["idle"] * 3, "five are busy and three are idle")
    OPERATOR.signal(signal.SIGKILL)
    wait_until(lambda: pool.states() == ["active"] * 5, "the idle ones leave")
    assert pool.queue.succeeded() == 3
    pool.queue.let_end(*busy)
    pool.until_succeeded()
    pool.until_gone()
    assert len(pool.history.uids()) == 8
    assert pool.history.interrupted() == []


@pytest.fixture
def _installed_again() -> Iterator[None]:
    yield
    OPERATOR.install()


@pytest.mark.usefixtures("_installed_again")
def test_an_uninstalled_operator_takes_no_worker_and_no_right_away(pool: Pool) -> None:
    pool.apply(minReplicas=1, maxReplicas=1)
    pool.until_states("idle")
    before = pool.history.uids()
    OPERATOR.uninstall()
    pool.enqueue(("long", 6.0, "meanwhile"))
    pool.history.wait_for(lambda seen: seen.state == "active", "the worker may still report")
    pool.until_succeeded()
    OPERATOR.install()
    pool.change(minReplicas=0)
    pool.until_gone()
    assert pool.history.uids() == before
    assert pool.history.interrupted() == []
    wait_until(lambda: pool.status()["replicas"] == 0, "status says zero")


@pytest.mark.fault("operator", "away, and the broker too, while a runner and a namespace are deleted")
@pytest.mark.slow
def test_a_runner_and_a_namespace_that_are_deleted_go_without_an_operator_and_without_a_broker(
    make_pool: MakePool,
) -> None:
    runner, brokerless, namespace = make_pool(), make_pool(), make_pool()
    for pool in (runner, brokerless, namespace):
        pool.apply(minReplicas=1)
        pool.until_states("idle")
    brokerless.kubectl("scale", "deployment/redis", "--replicas=0")
    wait_until(lambda: brokerless.condition("BrokerReachable")[0] == "False", "the broker is gone")
    brokerless.kubectl("delete", "mtr", "reports", "--timeout=30s")
    brokerless.until_gone()
    with OPERATOR.away():
        namespace.kubectl("delete", "namespace", namespace.namespace, "--timeout=90s")
        runner.enqueue(("long", 15.0, "long"))
        runner.until_begun("long")
        runner.kubectl("delete", "mtr", "reports", "--timeout=30s")
        assert runner.queue.succeeded() == 0  # its pod has its own grace
        runner.until_succeeded()
        runner.until_gone()


@pytest.mark.fault("operator", "two leaders at once")
@pytest.mark.slow
def test_two_operators_that_both_lead_do_no_harm_and_come_to_rest(pool: Pool) -> None:
    cap = 4
    with second():
        pool.apply(maxReplicas=cap, idleTimeoutSeconds=3)
        for wave in range(3):
            pool.enqueue(*(("short", 1.0, f"{wave}s{n}") for n in range(8)), ("long", 10.0, f"{wave}l"))
            pool.until_succeeded()
            pool.until_gone()
        wait_until(lambda: pool.status().get("replicas") == 0, "status says zero")
        time.sleep(3)  # for what this has set off
        audit = Audit()
        time.sleep(15)
        asked = audit.of(OPERATOR.account)
    assert {key for key in asked if key[0] != "watch" and key[1] != "leases"} == set()
    assert pool.history.peak() <= cap + 2
    assert pool.history.interrupted() == []
    assert get("events.events.k8s.io", "-n", pool.namespace)["items"]


@pytest.mark.fault("operator", "away while the only worker vanished")
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_task_whose_worker_vanished_while_no_operator_was_there_runs_again_within_a_quarter_of_an_hour(
    left_behind: Pool,
) -> None:
    left_behind.until_begun("task", times=2, seconds=QUARTER_OF_AN_HOUR)
    left_behind.until_succeeded(again=("task",))
