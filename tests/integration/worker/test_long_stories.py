"""What takes minutes to tell: many living workers through a long outage, and a death in the atomic slot."""

import time
from collections import Counter

import pytest

from pynenc_worker import contract
from tests.integration.redis_server import RedisServer
from tests.integration.worker.conftest import StartWorker
from tests.integration.worker.processes import Line, Producer, Worker, eventually

LINES = ["pynenc-0.3-redis", "pynenc-next-redis"]
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("line", LINES, indirect=True)]

OUTAGE_SECONDS = 60.0
# Workers trust heartbeats again a minute after an outage; what they would do wrongly they would do soon after.
WATCHED_SECONDS = 80.0
# Slots come round every few seconds, and a runner counts as dead after half a minute, well within the outage.
HASTY = {
    "PYNENC__ATOMIC_SERVICE_INTERVAL_MINUTES": "0.2",
    "PYNENC__ATOMIC_SERVICE_CHECK_INTERVAL_MINUTES": "0.02",
    "PYNENC__RUNNER_CONSIDERED_DEAD_AFTER_MINUTES": "0.5",
}


def handed_on(worker: Worker) -> float:
    """How many invocations a worker has put back into the queue, for whatever cause."""
    lines = worker.get("/metrics")[1].splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("pynenc_worker_handed_on_invocations_total{")
    )


def test_ten_busy_workers_outlive_a_minute_without_redis_and_nobody_hands_on_for_them(
    start_worker: StartWorker, producer: Producer, line: Line, redis_server: RedisServer
) -> None:
    running = {f"running-{number}": "" for number in range(10)}
    workers = []
    for _ in running:
        workers.append(start_worker(**HASTY))
        workers[-1].says("idle")
    for name in running:
        running[name] = producer.call("hold", name=name)
    eventually(lambda: len(line.executions()) == len(running), "each worker runs one")
    waiting = [producer.call("nap", name=f"waiting-{number}", seconds=0.2) for number in range(30)]
    for worker in workers:
        worker.says("active")

    redis_server.stop()
    began = time.monotonic()
    during, after = list(running)[:5], list(running)[5:]
    time.sleep(OUTAGE_SECONDS / 2)
    for name in during:
        line.open_gate(name)
    time.sleep(max(0.0, began + OUTAGE_SECONDS - time.monotonic()))
    assert {worker.pod.state() for worker in workers} == {"active"}
    redis_server.start()
    back = time.monotonic()

    eventually(lambda: all(producer.succeeded(running[name]) for name in during), "what had ended is written")
    eventually(lambda: all(map(producer.succeeded, waiting)), "the queue is worked off")
    while time.monotonic() < back + WATCHED_SECONDS:
        assert all(producer("status", invocation_id=running[name]) == "running" for name in after)
        time.sleep(1)
    for name in after:
        line.open_gate(name)
    eventually(lambda: all(map(producer.succeeded, running.values())), "all end")
    assert Counter(line.executions()) == Counter([*running, *(f"waiting-{number}" for number in range(30))])
    assert [handed_on(worker) for worker in workers] == [0.0] * 10
    assert all(worker.process.poll() is None for worker in workers)
    # One outage each, although a worker without a free thread asks the broker for nothing.
    assert [worker.log().count("the broker is back") for worker in workers] == [1] * 10
    assert producer("slots_completed", within=time.monotonic() - back)  # somebody was there who could have


def test_a_worker_that_is_killed_in_its_slot_while_it_recovers_blocks_nothing(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    left_behind = 500
    orphans = [producer.call("nap", name=f"orphan-{number}", seconds=0.0) for number in range(left_behind)]
    assert producer("die_with_all") == left_behind
    workers = {worker.pod.uid: worker for worker in (start_worker(**HASTY) for _ in range(3))}

    def recovering() -> str | None:
        holder = producer("slot_holder")
        return holder if holder and "of a runner without heartbeat is queued again" in workers[holder].log() else None

    victim = workers.pop(eventually(recovering, "one of them recovers in its slot", within=120))
    victim.kill()
    died = time.monotonic()
    assert producer("slot_holder") == victim.pod.uid
    done = Counter(line.executions("end"))
    assert len(done) < left_behind

    new = [producer.call("nap", name=f"new-{number}", seconds=0.1) for number in range(10)]
    eventually(lambda: all(map(producer.succeeded, new)), "the others go on with what comes")
    others = list(workers.values())
    others[0].pod.request(contract.RECOVER_RUNNERS, victim.pod.uid)  # the operator knows of the death
    eventually(
        lambda: set(producer("slots_completed", within=time.monotonic() - died)) & workers.keys(),
        "another gets the slot",
        within=180,
    )
    eventually(lambda: all(map(producer.succeeded, orphans)), "and goes on with the recovery", within=180)
    twice = {name for name, times in Counter(line.executions()).items() if times > 1}
    assert len(twice) <= 1  # what the victim itself ran when it was killed
    assert all(worker.process.poll() is None for worker in others)
