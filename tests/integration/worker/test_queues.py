"""pynenc 0.4's named queues and priorities, on the backends that have them: each task stays in its own queue."""

import json
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pynenc_worker import contract
from tests.cluster.paths import ROOT
from tests.integration.redis_server import RedisServer
from tests.integration.worker.conftest import StartWorker
from tests.integration.worker.processes import Line, Producer, eventually

both_backends = pytest.mark.parametrize("line", ["pynenc-next-sqlite", "pynenc-next-redis"], indirect=True)
on_redis = pytest.mark.parametrize("line", ["pynenc-next-redis"], indirect=True)

GPU = dict.fromkeys(contract.ENV_QUEUES, "gpu")
ALL_HERE = ["default", "gpu", "mail"]


def render(producer: Producer, name: str, task: str = "render") -> str:
    return producer.call(task, module="queued_jobs", name=name)


def in_queues(producer: Producer) -> list[int]:
    """How many wait in each of ALL_HERE."""
    return [int(producer("queued_in", queues=[queue])) for queue in ALL_HERE]


@both_backends
def test_a_worker_takes_from_its_own_queues_alone(start_worker: StartWorker, producer: Producer, line: Line) -> None:
    other = producer.call("nap", name="other", seconds=0.1)
    ours = render(producer, "ours")
    line.open_gate("ours")
    worker = start_worker(**GPU)
    eventually(lambda: producer.succeeded(ours), "what is in its queue runs")
    worker.says("idle")  # after 5 s
    assert line.executions() == ["ours"]
    assert producer("status", invocation_id=other) == "registered"
    assert in_queues(producer) == [1, 0, 0]
    assert worker.pod.annotations()[contract.PYNENC_VERSION].startswith("0.4")
    assert "not configured" not in worker.log()  # though its app says nothing of the queue
    general = start_worker(**dict.fromkeys(contract.ENV_QUEUES, "default,mail"))
    eventually(lambda: producer.succeeded(other), "another worker takes the other one")
    general.sigterm()
    assert general.exit_code() == 0


@both_backends
def test_the_highest_priority_goes_first_and_equals_in_the_order_they_came(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    names = ["plain-0", "late-0", "soon-0", "plain-1", "soon-1", "late-1"]
    tasks = {"plain": "render", "late": "render_some_time", "soon": "render_soon"}
    ids = [render(producer, name, tasks[name[:-2]]) for name in names]
    for name in names:
        line.open_gate(name)
    start_worker(**GPU)
    eventually(lambda: all(map(producer.succeeded, ids)), "all run")
    assert line.executions() == ["soon-0", "soon-1", "plain-0", "plain-1", "late-0", "late-1"]


@both_backends
def test_what_is_handed_back_stands_in_its_own_queue_with_its_priority(
    start_worker: StartWorker, producer: Producer
) -> None:
    held = render(producer, "held", "render_soon")
    worker = start_worker(**GPU, PYNENC_WORKER_DRAIN_TIMEOUT_SECONDS="2")
    worker.says("active")
    before = render(producer, "before")
    worker.sigterm()
    assert worker.exit_code(within=30) == 0
    assert producer("status", invocation_id=held) == "rerouted"
    assert in_queues(producer) == [0, 2, 0]
    assert producer("take_all", queue="gpu") == [held, before]


@pytest.mark.slow
@pytest.mark.parametrize("line", ["pynenc-next-redis", "pynenc-next-sqlite"], indirect=True)
def test_what_a_dead_worker_held_goes_on_in_its_own_queue(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    held = render(producer, "held")
    dead = start_worker(**GPU)
    dead.says("active")
    dead.kill()
    # Its heir serves another queue: it hands on, and runs nothing of it.
    heir = start_worker()
    heir.says("idle")
    heir.pod.request(contract.RECOVER_RUNNERS, dead.pod.uid)
    eventually(lambda: producer("status", invocation_id=held) == "rerouted", "it is handed on")
    assert in_queues(producer) == [0, 1, 0]
    eventually(lambda: heir.pod.annotations().get(contract.RECOVERED_RUNNERS) == dead.pod.uid, "it answers", 120)
    assert in_queues(producer) == [0, 1, 0]  # its search for what was lost sees queues that it does not serve
    line.open_gate("held")
    start_worker(**GPU)
    eventually(lambda: producer.succeeded(held), "it runs again")
    assert line.executions() == ["held", "held"]


@both_backends
def test_a_task_may_enqueue_into_queues_that_its_worker_does_not_serve(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    (line.folder / "strict.py").write_text(
        "from jobs import app\nimport queued_jobs\n"
        "app.config_values = {'queues': ALL, 'raise_on_queue_mismatch': True}\n".replace("ALL", repr(ALL_HERE))
    )
    both = render(producer, "both", "render_and_send")
    worker = start_worker(**GPU, PYNENC_WORKER_APP="strict")
    eventually(lambda: producer("status", invocation_id=both) in ("success", "failed"), "it ends")
    assert producer("result", invocation_id=both) == "both"
    assert in_queues(producer) == [0, 0, 1]
    assert "not configured in broker.queues" not in worker.log()


@both_backends
def test_a_worker_without_named_queues_takes_from_all_that_the_app_has(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    (line.folder / "configured.py").write_text(
        f"from jobs import app\napp.config_values = {{'queues': {ALL_HERE!r}}}\n"
    )
    ids = [producer.call("nap", name="plain", seconds=0.1), producer.call("send", module="queued_jobs", name="mail")]
    worker = start_worker(PYNENC_WORKER_APP="configured")
    eventually(lambda: all(map(producer.succeeded, ids)), "both run")
    worker.says("idle")
    time.sleep(1)  # it rests, and looks at the heads of all of them before it takes
    ids.append(producer.call("send", module="queued_jobs", name="later"))
    eventually(lambda: producer.succeeded(ids[-1]), "and so does the next")


def test_redis_keeps_the_order_of_pynencs_own_brokers(
    next_python: Path, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Ids in two queues, with all kinds of priorities, one by one and in batches: taken as from SQLite."""
    rng = random.Random(4)  # noqa: S311 - the same each time
    routes: list[dict[str, Any]] = []
    for number in range(60):
        ids = [f"{number}-{one}" for one in range(rng.choice((1, 1, 1, 12)))]
        priority = rng.choice((0.0, 0.0, 0.0, 5.0, 5.25, -0.5, 100.0, -100.0))
        routes.append({"ids": ids, "queue": rng.choice(("default", "gpu")), "priority": priority})
    orders = []
    for backend, url in (("redis", redis_server.url), ("sqlite", str(tmp_path / "order.db"))):
        producer = Producer(Line(python=next_python, backend=backend, url=url, folder=tmp_path, app_id="order"))
        for route in routes:
            producer("route", **route)
        counted = {queue: producer("queued_in", queues=[queue]) for queue in ("default", "gpu")}
        taken = {queue: producer("take_all", queue=queue) for queue in ("default", "gpu")}
        assert counted == {queue: len(ids) for queue, ids in taken.items()}
        orders.append(taken)
        producer.close()
    assert orders[0] == orders[1]
    assert sum(map(len, orders[0].values())) == sum(len(route["ids"]) for route in routes)


@on_redis
def test_default_is_the_queue_of_producers_of_the_line_before(producer: Producer, line: Line, tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.mkdir()
    before = Producer(replace(line, python=Path(sys.executable), folder=older))
    first = before.call("nap", name="first", seconds=0.1)
    second = producer.call("nap", name="second", seconds=0.1)
    third = before.call("nap", name="third", seconds=0.1)
    producer("route", ids=["ahead"], queue="default", priority=1.0)
    assert (before("queued"), producer("queued")) == (3, 4)  # 0.3 knows of no priorities
    assert producer("take_all", queue="default") == ["ahead", first, second, third]
    before.close()


@pytest.mark.parametrize("line", ["pynenc-0.3-redis", "pynenc-next-redis"], indirect=True)
def test_what_producers_of_the_other_line_enqueue_into_default_runs_and_they_read_the_result(
    start_worker: StartWorker, line: Line, next_python: Path
) -> None:
    """So that an app on Redis can move to the next line step by step."""
    other = Path(sys.executable) if line.python == next_python else next_python
    producer = Producer(replace(line, python=other))
    ids = [producer.call(task, name=task) for task in ("flaky", "ask_child")]
    for gate in ("ask_child", "ask_child-child"):
        line.open_gate(gate)
    start_worker()
    eventually(lambda: all(map(producer.succeeded, ids)), "both end")
    results = [producer("result", invocation_id=one) for one in ids]
    producer.close()
    assert results == ["flaky", "ask_child got ask_child-child"]
    assert sorted(line.executions()) == ["ask_child", "ask_child-child", "flaky", "flaky"]


def test_a_plugin_that_has_queues_by_itself_is_left_alone(next_python: Path) -> None:
    script = Path(__file__).with_name("newer_plugin.py")
    done = subprocess.run(
        [str(next_python), str(script)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    newer, older, again = (json.loads(done.stdout)[name] for name in ("newer", "older", "again"))
    assert newer == {"broker": False, "orchestrator": False, "filled": False, "abstract": []}
    assert older == {"broker": True, "orchestrator": True, "filled": True, "abstract": []}
    assert again == {"broker": False, "orchestrator": False, "filled": True, "abstract": []}
