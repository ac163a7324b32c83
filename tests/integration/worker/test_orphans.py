"""What a runner left RUNNING before any worker came: the first worker finds it by its heartbeat, and runs it."""

import pytest

from tests.integration.worker.conftest import StartWorker
from tests.integration.worker.processes import Line, Producer, eventually
from tests.integration.worker.test_long_stories import HASTY

LINES = ["pynenc-0.3-redis", "pynenc-0.3-rabbitmq", "pynenc-0.3-sqlite", "pynenc-next-sqlite", "pynenc-next-redis"]


@pytest.mark.slow  # heartbeats are trusted a minute after a start
@pytest.mark.parametrize("line", LINES, indirect=True)
def test_the_first_worker_runs_what_was_left_running_before_it_came(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    orphans = [producer.call("nap", name=f"orphan-{number}", seconds=0.1) for number in range(2)]
    assert producer("die_with_all") == 2
    assert producer("queued") == 0
    start_worker(**HASTY).says("idle")
    eventually(lambda: all(map(producer.succeeded, orphans)), "it runs them", within=180)
    assert sorted(line.executions()) == ["orphan-0", "orphan-1"]
    assert producer("by_status")["running"] == 0
