"""A stream of short tasks keeps as many workers busy as it needs, and lets the others rest."""

import time

import pytest

from tests.integration.worker.conftest import StartWorker
from tests.integration.worker.processes import Line, Producer, eventually

pytestmark = pytest.mark.parametrize(
    "line", ["pynenc-0.3-redis", pytest.param("pynenc-next-redis", marks=pytest.mark.slow)], indirect=True
)

TASK_SECONDS = 0.2
PACE_SECONDS = 0.2  # between two tasks: two workers serve that, also on a busy machine
STREAM_SECONDS = 60.0
REST_SECONDS = 25.0


def test_of_six_workers_at_least_three_rest_in_a_stream_that_two_can_serve(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    workers = []
    for _ in range(6):
        workers.append(start_worker())
        workers[-1].says("idle")
    sent = [producer.call("nap", name=f"first-{number}", seconds=4.0) for number in range(6)]
    for worker in workers:
        worker.says("active")  # a pool that has grown

    began = time.monotonic()
    resting: list[set[str]] = []  # at each look
    while (now := time.monotonic() - began) < STREAM_SECONDS:
        sent.append(producer.call("nap", name=f"stream-{len(sent)}", seconds=TASK_SECONDS))
        if now > STREAM_SECONDS - REST_SECONDS and now > STREAM_SECONDS - REST_SECONDS + len(resting):
            resting.append({worker.pod.name for worker in workers if worker.pod.state() == "idle"})
        time.sleep(max(0.0, began + now + PACE_SECONDS - time.monotonic()))

    assert producer("queued") <= 5  # it was served
    assert len(resting) > REST_SECONDS / 2
    assert len(set.intersection(*resting)) >= 3, resting
    eventually(lambda: len(line.executions("end")) == len(sent), "all end")
    assert len(set(line.executions())) == len(line.executions()) == len(sent)


@pytest.mark.parametrize("rest", [0.0, 6.0])  # and what it takes to be called idle: 5 s
def test_a_worker_that_has_rested_takes_what_comes_within_half_a_second(
    start_worker: StartWorker, producer: Producer, line: Line, rest: float
) -> None:
    worker = start_worker()
    reactions: list[float] = []
    for name in ("first", "second", "third"):
        worker.says("idle")
        time.sleep(rest)
        producer.call("nap", name=name, seconds=0.1)
        began = time.monotonic()
        eventually(lambda: len(line.executions()) > len(reactions), "it works")
        reactions.append(time.monotonic() - began)
        worker.says("active")
    assert min(reactions) < 0.5, reactions  # the machine may be busy
