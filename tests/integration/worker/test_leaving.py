"""Nothing that runs is interrupted or run twice, whatever makes a worker leave."""

import os
import signal
import time
from pathlib import Path

import pytest

from pynenc_worker import contract
from tests.integration.worker.conftest import ALL_LINES, StartWorker
from tests.integration.worker.processes import Line, Producer, eventually

TWO_THREADS = {"PYNENC__CONFIGTHREADRUNNER__MAX_THREADS": "2"}


@pytest.mark.parametrize("line", ALL_LINES, indirect=True)
def test_sigterm_lets_running_tasks_finish_once(start_worker: StartWorker, producer: Producer, line: Line) -> None:
    names = [f"task-{number}" for number in range(6)]
    ids = [producer.call("hold", name=name) for name in names]
    first = start_worker(**TWO_THREADS)
    eventually(lambda: len(line.executions()) == 2, "two tasks run")
    first.sigterm()
    first.says("draining")
    for name in names:
        line.open_gate(name)
    assert first.exit_code() == 0
    assert len(line.executions("end")) == 2
    assert first.pod.state() == "drained"
    assert producer("queued") == 4
    second = start_worker(**TWO_THREADS)
    eventually(lambda: all(map(producer.succeeded, ids)), "the second worker runs the others")
    assert sorted(line.executions()) == names
    assert sorted(line.executions("end")) == names
    second.sigterm()
    assert second.exit_code() == 0


def test_a_worker_that_missed_its_signal_sees_that_its_pod_is_being_deleted(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    producer.call("nap", name="a", seconds=0.1)
    worker = start_worker(deleted=True)  # no SIGTERM: as if it had come before Python could set a handler
    assert worker.exit_code() == 0
    assert worker.pod.state() == "drained"
    assert line.executions() == []
    assert producer("queued") == 1


def test_a_drain_request_is_answered_and_then_the_worker_ends_by_itself(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    producer.call("hold", name="first")
    worker = start_worker()
    worker.says("active")
    worker.pod.request(contract.DRAIN_REQUEST, "one")
    worker.says("draining")
    producer.call("nap", name="second", seconds=0.1)
    line.open_gate("first")
    worker.says("drained")
    assert worker.pod.annotations()[contract.DRAIN_ANSWER] == "one"
    assert worker.exit_code() == 0
    assert line.executions() == line.executions("end") == ["first"]
    assert producer("queued") == 1


def test_a_drain_that_was_taken_back_before_its_answer_ends_nobody(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    producer.call("hold", name="first")
    worker = start_worker()
    worker.says("active")
    worker.pod.request(contract.DRAIN_REQUEST, "one")
    worker.says("draining")
    worker.pod.request(contract.DRAIN_REQUEST, None, mounted=False)
    line.open_gate("first")
    worker.says("drained")
    assert worker.pod.annotations()[contract.DRAIN_ANSWER] == "one"
    time.sleep(1)
    assert worker.process.poll() is None
    worker.pod.mount()
    producer.call("nap", name="second", seconds=0.1)
    eventually(lambda: line.executions("end") == ["first", "second"], "it takes work again")
    eventually(lambda: worker.pod.state() == "idle", "it says that it is back")
    assert contract.DRAIN_ANSWER not in worker.pod.annotations()
    worker.sigterm()
    assert worker.exit_code() == 0


def test_a_drain_taken_back_while_a_task_runs_goes_on_as_if_nothing_was(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    producer.call("hold", name="first")
    worker = start_worker(**TWO_THREADS)
    worker.says("active")
    worker.pod.request(contract.DRAIN_REQUEST, "one")
    worker.says("draining")
    worker.pod.request(contract.DRAIN_REQUEST, None)
    worker.says("active")
    producer.call("nap", name="second", seconds=0.1)
    eventually(lambda: line.executions("end") == ["second"], "a free thread takes work again")
    line.open_gate("first")
    eventually(lambda: line.executions("end") == ["second", "first"], "the first task goes on")
    assert line.executions() == ["first", "second"]


@pytest.mark.parametrize("line", ALL_LINES, indirect=True)
def test_what_still_runs_at_the_drain_timeout_is_handed_back(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    names = ["long-0", "long-1"]
    ids = [producer.call("hold", name=name) for name in names]
    worker = start_worker(**TWO_THREADS, PYNENC_WORKER_DRAIN_TIMEOUT_SECONDS="2")
    eventually(lambda: len(line.executions()) == 2, "both tasks run")
    worker.sigterm()
    assert worker.exit_code(within=30) == 0
    assert worker.pod.state() == "drained"
    assert [producer("status", invocation_id=one) for one in ids] == ["rerouted", "rerouted"]
    for name in names:
        line.open_gate(name)
    start_worker(**TWO_THREADS)
    eventually(lambda: all(map(producer.succeeded, ids)), "the next worker runs them")
    assert sorted(line.executions("end")) == names


def test_sigterm_while_the_app_loads_ends_even_process_1_at_once(start_worker: StartWorker, line: Line) -> None:
    # As in a container: the kernel drops signals that process 1 of a namespace has no handler for.
    worker = start_worker(PYNENC_WORKER_APP="slow", wrapper=("unshare", "--pid", "--fork", "--kill-child"))
    eventually((line.folder / "loading").exists, "the app loads")
    children = Path(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children")
    os.kill(int(children.read_text()), signal.SIGTERM)
    assert worker.exit_code(within=10) == 0
    assert worker.pod.said() == []


@pytest.mark.parametrize("line", ALL_LINES, indirect=True)
def test_a_drain_takes_only_what_its_own_threads_wait_for(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    parent = producer.call("ask_child", name="parent")
    worker = start_worker()
    eventually(lambda: "parent" in line.executions(), "the parent runs")
    worker.sigterm()
    worker.says("draining")
    unrelated = producer.call("nap", name="unrelated", seconds=0.1)
    line.open_gate("parent")
    eventually(lambda: "parent-child" in line.executions(), "its child gets the slot that it left")
    time.sleep(1)
    line.open_gate("parent-child")
    assert worker.exit_code() == 0
    assert line.executions() == ["parent", "parent-child"]
    assert producer("result", invocation_id=parent) == "parent got parent-child"
    assert producer("status", invocation_id=unrelated) == "registered"


def test_a_task_that_goes_on_after_its_sub_result_counts_again(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    names = [f"parent-{number}" for number in range(3)]
    ids = [producer.call("ask_then_hold", name=name) for name in names]
    worker = start_worker()
    eventually(lambda: set(names) & set(line.executions()), "a parent goes on")
    time.sleep(3)
    # pynenc lets each parent that ever waited leave its slot for good: all three would go on by now.
    assert len(set(names) & set(line.executions())) == 1
    for name in names:
        line.open_gate(name)
    eventually(lambda: all(map(producer.succeeded, ids)), "all parents end")
    assert sorted(name for name in line.executions() if "child" not in name) == names
    worker.sigterm()
    assert worker.exit_code() == 0
