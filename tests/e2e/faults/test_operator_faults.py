"""The operator runs out of memory, or it or the workers have a wrong clock: pools go on as if nothing were."""

import signal
import time
from collections.abc import Iterator

import pytest

from tests.e2e import memory, processes, usercode, wrongclock
from tests.e2e.kubernetes import wait_until
from tests.e2e.pool import Pool
from tests.e2e.release import OPERATOR
from tests.e2e.together import side_by_side

DIED = "its worker had died"
WRONG_SECONDS = 300
IDLE_SECONDS = 15
WITHIN = 3  # seconds after idleTimeoutSeconds an idle pod is asked to leave
MARGIN = 10  # more of them, for a busy machine: a wrong clock that counts makes it hundreds, or none at all


@pytest.mark.fault("operator", "out of memory while a worker is busy and the queue grows")
def test_out_of_memory_under_a_busy_worker_and_a_growing_queue(pool: Pool) -> None:
    names = [f"held-{n}" for n in range(4)]
    usercode.hold(pool, names[0], maxReplicas=len(names))
    before = pool.all_uids()
    [uid] = OPERATOR.pods()
    memory.run_out(processes.find(uid, "pynenc_operator"))
    wait_until(lambda: ended_by(uid) == "OOMKilled", "its end is told")
    pool.fault_is_over()
    pool.enqueue(*(("long", 0, name) for name in names[1:]))
    pool.until_recovered(lambda: pool.states() == ["active"] * len(names), "the pool has grown")
    assert set(OPERATOR.pods()) == {uid}  # the kubelet has started its container again
    assert before <= pool.all_uids()
    pool.queue.let_end(*names)
    pool.until_succeeded()
    wait_until(lambda: pool.status().get("replicas") == 0, "the pool is at zero")
    assert pool.history.interrupted() == []
    assert pool.history.peak() <= len(names)


def ended_by(uid: str) -> str:
    """Why the operator's container ended last; empty if it has not."""
    [status] = OPERATOR.pods()[uid]["status"]["containerStatuses"]
    ends = [status[when].get("terminated", {}) for when in ("lastState", "state")]
    return next((str(end["reason"]) for end in ends if end), "")


@pytest.fixture
def _right_again() -> Iterator[None]:
    yield
    OPERATOR.install()


def clock(whose: str, seconds: int) -> pytest.MarkDecorator:
    how = "ahead" if seconds > 0 else "behind"
    return pytest.mark.fault("operator", f"{whose} clock {abs(seconds) // 60} minutes {how}, and a busy worker killed")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("_right_again")
@pytest.mark.parametrize(
    "seconds",
    [pytest.param(seconds, marks=clock("the operator's", seconds)) for seconds in (WRONG_SECONDS, -WRONG_SECONDS)],
)
def test_the_operators_clock_is_wrong(pool: Pool, seconds: int) -> None:
    wrongclock.install_operator(seconds)
    assert abs(wrongclock.operator_is_ahead() - seconds) < WRONG_SECONDS / 2
    usercode.hold(pool, "busy", "killed", "idle-0", "idle-1", maxReplicas=4, idleTimeoutSeconds=IDLE_SECONDS)
    idle_ones_leave_and_one_dies(pool)
    pool.queue.let_end("busy", "killed")
    pool.until_succeeded(again=("killed",), why=DIED)
    at_rest(pool)


def workers_clock(pool: Pool, seconds: int) -> None:
    """One busy worker with the right clock, three with a wrong one."""
    wrongclock.provide(pool.namespace, seconds)
    usercode.hold(pool, "busy", maxReplicas=4, idleTimeoutSeconds=IDLE_SECONDS)
    pool.change(template=wrongclock.template(seconds))
    wrong = ("killed", "idle-0", "idle-1")
    pool.enqueue(*(("long", 0, name) for name in wrong))
    pool.until_begun(*wrong)
    begun = {execution["name"]: execution["started"] - time.time() for execution in pool.queue.begun()}
    assert all(abs(begun[name] - seconds) < WRONG_SECONDS / 2 for name in wrong), begun
    assert abs(begun["busy"]) < WRONG_SECONDS / 2, begun
    idle_ones_leave_and_one_dies(pool)
    pool.queue.let_end("busy", "killed")
    # Their histories have the workers' own times: `until_succeeded` would find them out of order.
    wait_until(lambda: pool.queue.succeeded() == 4, "all succeed")
    assert pool.queue.executions() == {"busy": 1, "killed": 2, "idle-0": 1, "idle-1": 1}
    assert pool.queue.unfinished() == 0
    pool.outcome.tasks, pool.outcome.executions, pool.outcome.again = 4, 5, DIED
    at_rest(pool)


@clock("three workers'", WRONG_SECONDS)
@pytest.mark.slow
@side_by_side
def test_workers_whose_clock_is_ahead(pool: Pool) -> None:
    workers_clock(pool, WRONG_SECONDS)


@clock("three workers'", -WRONG_SECONDS)
@pytest.mark.slow
@side_by_side
def test_workers_whose_clock_is_behind(pool: Pool) -> None:
    workers_clock(pool, -WRONG_SECONDS)


def idle_ones_leave_and_one_dies(pool: Pool) -> None:
    """Two become idle, and leave when it is time; the task of a worker that is killed runs again."""
    let_end_at = time.time()
    pool.queue.let_end("idle-0", "idle-1")
    wait_until(lambda: len(asked_to_leave(pool)) == 2, "both are asked to leave")
    times = [at - let_end_at for at in asked_to_leave(pool)]
    print(f"{pool.namespace}: asked to leave {[f'{seconds:.1f}' for seconds in times]} s after the end of their tasks")
    assert all(IDLE_SECONDS <= seconds <= IDLE_SECONDS + WITHIN + MARGIN for seconds in times), times
    pool.signal(pool.queue.where("killed"), signal.SIGKILL)
    pool.fault_is_over()
    pool.until_recovered(lambda: pool.queue.executions()["killed"] == 2, "its task runs again")


def asked_to_leave(pool: Pool) -> list[float]:
    """When each pod that was asked to leave as idle was first seen so, in Unix seconds of the test's own clock."""
    first: dict[str, float] = {}
    for seen in pool.history.all():
        if seen.asked.startswith("idle."):
            first.setdefault(seen.uid, seen.at)
    return list(first.values())


def at_rest(pool: Pool) -> None:
    """The pool comes to zero, and nobody was interrupted."""
    wait_until(lambda: pool.status().get("replicas") == 0, "the pool is at zero")
    assert pool.history.interrupted() == []
    assert pool.history.peak() <= 4
