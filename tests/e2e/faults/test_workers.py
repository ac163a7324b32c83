"""Workers that are killed at bad moments, or never come to work: only what a dead one ran runs again."""

import signal
import time
from collections.abc import Iterable

import pytest

from pynenc_operator.failures import YOUNG_SECONDS
from pynenc_worker import contract
from tests.e2e import usercode
from tests.e2e.kubernetes import wait_until
from tests.e2e.pool import Pool
from tests.e2e.taskqueue import UNDISTURBED
from tests.e2e.together import side_by_side

WORKERS = 10
DIED = "its worker had died"
STARTS_WITHIN = 20  # seconds, where a story waits for a pod that never reports
# pynenc's atomic slot, in minutes: turns of half a minute among two workers.
SLOTS = {"INTERVAL": "1.0", "CHECK_INTERVAL": "0.1", "SPREAD_MARGIN": "0.05"}


def uid(pool: Pool, task: str) -> str:
    """The pod that has begun a task."""
    return str(pool.pods()[pool.queue.where(task)]["metadata"]["uid"])


def kill(pool: Pool, victim: str) -> None:
    """Kill the worker in the pod of this uid."""
    [name] = [name for name, pod in pool.pods().items() if pod["metadata"]["uid"] == victim]
    pool.signal(name, signal.SIGKILL)
    pool.fault_is_over()


def asked_to_recover(pool: Pool, dead: str) -> str:
    """The pod that is to hand on what a dead one held; empty while none is."""
    for pod in pool.pods().values():
        if dead in pod["metadata"].get("annotations", {}).get(contract.RECOVER_RUNNERS, ""):
            return str(pod["metadata"]["uid"])
    return ""


def recovered(pool: Pool, dead: Iterable[str]) -> bool:
    """Whether it is written down of all of these that nothing of them is left."""
    notes = {pod["metadata"]["uid"]: pod["metadata"].get("annotations", {}) for pod in pool.pods().values()}
    return all(contract.RECOVERED_BY in notes.get(one, ()) for one in dead)


def until_at_rest(pool: Pool) -> None:
    """Wait until no pod serves; those that died are kept for their logs."""
    wait_until(lambda: pool.status().get("replicas") == 0, "the pool is at zero")


@pytest.mark.fault("workers", "one of ten busy workers killed")
@pytest.mark.slow
@side_by_side
def test_of_ten_busy_workers_one_is_killed_and_its_task_alone_runs_again(pool: Pool) -> None:
    names = tuple(f"held-{n}" for n in range(WORKERS))
    usercode.hold(pool, *names, maxReplicas=WORKERS)
    before = pool.all_uids()
    victim = uid(pool, "held-3")
    kill(pool, victim)
    pool.until_recovered(lambda: pool.queue.executions()["held-3"] == 2, "its task runs again")
    pool.until_recovered(lambda: pool.states().count("active") >= WORKERS, "ten work")
    assert before <= pool.all_uids()
    pool.queue.let_end(*names)
    pool.until_succeeded(again=("held-3",), why=DIED)
    assert all(pool.queue.histories()[name] == UNDISTURBED for name in names if name != "held-3")
    assert pool.history.interrupted() == []
    assert pool.history.peak() <= WORKERS
    until_at_rest(pool)


@pytest.mark.fault("workers", "a worker killed while it recovers what another one held that was killed before")
@pytest.mark.slow
@side_by_side
def test_one_that_recovers_a_dead_workers_task_is_killed_and_another_one_does_both(pool: Pool) -> None:
    usercode.hold(pool, "first", "second", "third", maxReplicas=3)
    time.sleep(
        YOUNG_SECONDS
    )  # one that ends sooner is a failure of its template, which is tried again ever more rarely
    holders = {uid(pool, name): name for name in ("first", "second", "third")}
    dead = [uid(pool, "first")]
    kill(pool, dead[0])
    dead.append(wait_until(lambda: asked_to_recover(pool, dead[0]), "another one is to recover"))
    kill(pool, dead[1])
    again = tuple(holders[one] for one in dead)
    pool.until_recovered(lambda: all(pool.queue.executions()[name] == 2 for name in again), "both tasks run again")
    wait_until(lambda: recovered(pool, dead), "both are answered for")
    wait_until(lambda: pool.condition("RecoveryPending") == ("", ""), "nothing waits any more")
    pool.queue.let_end("first", "second", "third")
    pool.until_succeeded(again=again, why=DIED)
    assert pool.history.interrupted() == []
    until_at_rest(pool)


@pytest.mark.fault("workers", "a worker killed in pynenc's atomic slot, searching for dead runners, with a task")
@pytest.mark.slow
@pytest.mark.timeout(900)
@side_by_side
def test_one_that_is_killed_in_pynencs_own_recovery_leaves_the_slot_to_the_next(pool: Pool) -> None:
    slots = [{"name": f"PYNENC__ATOMIC_SERVICE_{name}_MINUTES", "value": value} for name, value in SLOTS.items()]
    template = usercode.template(env=slots)
    usercode.hold(pool, "one", "two", source=usercode.STUCK_RECOVERY, maxReplicas=2, template=template)
    [searching] = wait_until(lambda: pool.queue.names(usercode.RECOVERING), "one of them searches")
    killed, other = ("one", "two") if pool.queue.where("one") == searching else ("two", "one")
    kill(pool, uid(pool, killed))
    pool.until_recovered(lambda: pool.queue.executions()[killed] == 2, "its task runs again")
    wait_until(lambda: len(pool.queue.names(usercode.RECOVERING)) >= 2, "another one has the slot", 360)
    pool.queue.let_end("one", "two")
    pool.until_succeeded(again=(killed,), why=DIED)
    assert pool.queue.histories()[other] == UNDISTURBED
    assert pool.history.interrupted() == []
    until_at_rest(pool)


@pytest.mark.fault("workers", "pods that start and never report (another command), then mended")
@pytest.mark.slow
@side_by_side
def test_pods_that_start_and_never_report_are_tried_rarely_and_a_mended_template_serves(pool: Pool) -> None:
    silent = {"spec": {"containers": [{"name": "worker", "command": ["sleep", "100000"]}]}}
    pool.apply(maxReplicas=2, startDeadlineSeconds=STARTS_WITHIN, template=silent)
    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(4)))
    wait_until(lambda: pool.condition("Ready") == ("False", "PodsFail"), "the runner says that its pods fail")
    assert pool.condition("Progressing")[0] == "False"
    time.sleep(3 * STARTS_WITHIN)
    assert pool.history.peak() <= 2
    assert pool.queue.executions() == {}
    assert "Recover" not in {action for _, action, _ in pool.events()}
    pool.change(template=None, startDeadlineSeconds=None)
    pool.fault_is_over()
    pool.until_recovered(pool.queue.executions, "tasks begin")
    pool.until_succeeded()
    pool.until_gone()


@pytest.mark.fault("workers", "a pod deleted while its worker imports the app for half a minute")
@pytest.mark.slow
@side_by_side
def test_a_pod_that_is_deleted_during_its_import_goes_at_once_and_is_no_failure(pool: Pool) -> None:
    usercode.write(pool, usercode.SLOW)
    pool.apply(maxReplicas=1, template=usercode.template())
    pool.enqueue(("short", 0.5, "task"))

    def importing() -> bool:
        statuses = [status for pod in pool.pods().values() for status in pod["status"].get("containerStatuses", ())]
        return any("running" in status["state"] for status in statuses)

    wait_until(importing, "its container runs")
    time.sleep(5)  # the interpreter has begun with the module
    [first] = pool.all_uids()
    asked = time.time()
    pool.kubectl("delete", "pod", "reports-0", "--wait=false")
    pool.fault_is_over()
    gone = pool.history.wait_for(lambda seen: seen.uid == first and seen.gone, "it is gone", seconds=60)
    assert not gone.state
    print(f"{pool.namespace}: gone {gone.at - asked:.1f} s after its deletion")
    pool.until_succeeded()
    assert len(pool.history.uids()) == 2
    assert "failures" not in pool.status()
    assert pool.condition("Progressing") == ("True", "UpToDate")
    pool.until_gone()
