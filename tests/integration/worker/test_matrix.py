"""What docs/backends.md says of pynenc's lines and backends: a worker's life and the operator's counts on each pair."""

import asyncio
import contextlib
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pynenc_operator.backends import Backend, BackendKind
from pynenc_operator.broker import BackendSource, Question
from pynenc_operator.brokerclients import load_plugins
from pynenc_operator.questions import STATUSES, CountInvocations, CountQueue, Heartbeat, ReadHeartbeats
from pynenc_worker import contract
from tests.integration.worker.conftest import StartWorker
from tests.integration.worker.processes import Line, Producer, eventually

PAIRS = {
    "pynenc-0.3-redis": "0.3.",
    "pynenc-0.3-mongodb": "0.3.",
    "pynenc-0.3-sqlite": "0.3.",
    "pynenc-next-redis": "0.4.",
    "pynenc-next-sqlite": "0.4.",
}


@pytest.fixture(autouse=True, scope="module")
def _plugins() -> None:
    load_plugins()


def asked[T](line: Line, question: Question[T], queues: Sequence[str] = ()) -> T:
    """What the operator is told."""

    async def ask() -> T:
        with contextlib.closing(BackendSource(allow_local=True, deadline=30.0)) as source:
            backend = Backend(BackendKind(line.backend), line.url, line.app_id, tuple(queues))
            return await source.ask(backend, question)

    return asyncio.run(ask())


def counted(line: Line, queues: Sequence[str] = ()) -> int:
    """How many the operator counts."""
    return asked(line, CountQueue(), queues).waiting


@pytest.mark.parametrize(("line", "version"), PAIRS.items(), indirect=["line"], ids=PAIRS)
def test_a_worker_lives_and_is_counted_on_each_line_and_backend(
    start_worker: StartWorker, producer: Producer, line: Line, version: str
) -> None:
    naps = [f"nap-{number}" for number in range(4)]
    ids = [
        *(producer.call("nap", name=name, seconds=0.1) for name in naps),
        producer.call("flaky", name="flaky"),
        producer.call("ask_child", name="parent"),
    ]
    assert counted(line) == producer("queued") == 6
    for gate in ("parent", "parent-child"):
        line.open_gate(gate)
    worker = start_worker()
    eventually(lambda: all(map(producer.succeeded, ids)), "all run")
    assert sorted(line.executions()) == sorted([*naps, "flaky", "flaky", "parent", "parent-child"])
    assert sorted(line.executions("end")) == sorted([*naps, "flaky", "parent", "parent-child"])
    assert producer("result", invocation_id=ids[-1]) == "parent got parent-child"
    assert worker.pod.annotations()[contract.PYNENC_VERSION].startswith(version)

    running, waiting = (producer.call("hold", name=name) for name in ("running", "waiting"))
    eventually(lambda: "running" in line.executions(), "one runs")
    worker.sigterm()
    worker.says("draining")
    line.open_gate("running")
    assert worker.exit_code() == 0
    assert worker.pod.state() == "drained"
    assert producer("heartbeats") == {}  # it ended in order
    assert producer.succeeded(running)
    assert counted(line) == producer("queued") == 1
    line.open_gate("waiting")
    start_worker()
    eventually(lambda: producer.succeeded(waiting), "the next worker goes on")
    assert line.executions().count("running") == line.executions().count("waiting") == 1
    assert counted(line) == producer("queued") == 0


@pytest.mark.parametrize("line", ["pynenc-next-redis", "pynenc-next-sqlite"], indirect=True)
def test_the_operator_counts_the_queues_that_are_named_as_pynenc_does(producer: Producer, line: Line) -> None:
    for queue, count, priority in (("default", 2, 0.0), ("gpu", 3, 0.0), ("gpu", 4, 5.0), ("mail", 5, -1.0)):
        producer("route", ids=[f"{queue}-{priority}-{one}" for one in range(count)], queue=queue, priority=priority)
    for queues in (["gpu"], ["default"], ["gpu", "mail"], ["unused"]):
        assert counted(line, queues) == producer("queued_in", queues=queues)
    assert counted(line) == producer("queued_in", queues=["default", "gpu", "mail"]) == 14  # none named: all


@pytest.mark.parametrize("line", PAIRS, indirect=True)
def test_the_operator_knows_every_status_of_pynencs_and_counts_as_it_does(producer: Producer, line: Line) -> None:
    assert producer("by_status") == asked(line, CountInvocations(STATUSES)) == dict.fromkeys(STATUSES, 0)
    for number in range(3):
        producer.call("nap", name=f"held-{number}", seconds=0.1)
    assert producer("die_with_all") == 3
    for number in range(2):
        producer.call("nap", name=f"waiting-{number}", seconds=0.1)
    found = asked(line, CountInvocations(STATUSES))
    assert found == producer("by_status")
    assert found is not None
    assert {status: count for status, count in found.items() if count} == {"registered": 2, "running": 3}


@pytest.mark.parametrize("line", PAIRS, indirect=True)
def test_the_operator_hears_of_runners_what_pynenc_does(producer: Producer, line: Line) -> None:
    assert producer("heartbeats") == {}
    assert asked(line, ReadHeartbeats()) == ()
    for runner_id, ago in (("living", 0.0), ("silent", 300.0)):
        producer("beat", runner_id=runner_id, ago=ago)
    everyone = asked(line, ReadHeartbeats())
    assert everyone is not None
    beats = {beat.runner_id: beat.last for beat in everyone}
    assert beats == pytest.approx(producer("heartbeats"))
    assert asked(line, ReadHeartbeats(("silent", "unknown"))) == (Heartbeat("silent", beats["silent"]),)


@pytest.mark.parametrize("line", ["pynenc-0.3-redis"], indirect=True)
def test_what_a_worker_of_the_line_before_can_not_take_stays_and_is_counted(
    start_worker: StartWorker, line: Line, next_python: Path
) -> None:
    newer = Producer(replace(line, python=next_python))
    newer("route", ids=["ahead"], queue="default", priority=1.0)
    newer("route", ids=["elsewhere"], queue="gpu", priority=0.0)
    plain = newer.call("nap", name="plain", seconds=0.1)
    assert counted(line) == newer("queued_in", queues=["default", "gpu"]) == 3
    worker = start_worker()
    eventually(lambda: newer.succeeded(plain), "it takes what 0.3 knows of")
    worker.says("idle")
    assert line.executions() == ["plain"]
    assert counted(line) == newer("queued_in", queues=["default", "gpu"]) == 2  # the runner: DemandNotConsumed
    newer.close()


def test_a_producer_of_0_4_without_this_projects_package_can_not_make_a_broker_on_redis(
    next_python: Path, tmp_path: Path
) -> None:
    hidden = tmp_path / "pynenc_worker"
    hidden.mkdir()
    for name in ("__init__.py", "redis_queues.py"):  # so that pynenc does not find what the package adds
        (hidden / name).touch()
    script = "from pynenc import Pynenc; Pynenc(config_values={'broker_cls': 'RedisBroker'}).broker"
    done = subprocess.run(
        [str(next_python), "-c", script],
        env={"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Can't instantiate abstract class RedisBroker" in done.stderr
