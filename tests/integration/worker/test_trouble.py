"""Dead workers, broken tasks, and a broker that goes away: nothing is lost, nothing runs twice."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator

import pytest

from pynenc_worker import contract
from tests.integration.mongo_server import MongoServer
from tests.integration.rabbitmq_server import RabbitServer
from tests.integration.redis_server import RedisServer
from tests.integration.worker.conftest import ALL_LINES, MONGODB, ONE_LINE_IN_MAKE_TEST, REDIS, StartWorker
from tests.integration.worker.processes import Line, Producer, eventually

OUTAGE_SECONDS = {"redis": 10.0, "rabbitmq": 10.0, "mongodb": 10.0, "sqlite": 3.0}

type Away = contextlib.AbstractContextManager[None]
type Server = RedisServer | RabbitServer | MongoServer


@pytest.fixture
def broker_away(line: Line, servers: tuple[Server, ...]) -> Away:
    """The line's servers stopped, both of RabbitMQ's."""
    return stopped(*servers) if servers else locked(line)


@contextlib.contextmanager
def stopped(*servers: Server) -> Iterator[None]:
    for server in servers:
        server.stop()
    yield
    for server in servers:
        server.start()


@contextlib.contextmanager
def locked(line: Line) -> Iterator[None]:
    """For SQLite, which is never away, a lock that nobody else gets past."""
    connection = sqlite3.connect(line.url, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield
    connection.execute("COMMIT")
    connection.close()


@pytest.mark.parametrize("line", ALL_LINES, indirect=True)
def test_a_result_that_could_not_be_written_is_kept(
    start_worker: StartWorker, producer: Producer, line: Line, broker_away: Away
) -> None:
    running = producer.call("hold", name="running")
    queued = producer.call("nap", name="queued", seconds=0.1)
    worker = start_worker()
    worker.says("active")
    with broker_away:
        line.open_gate("running")
        eventually(lambda: line.executions("end") == ["running"], "the task ends")
        time.sleep(OUTAGE_SECONDS[line.backend])
        assert worker.process.poll() is None
        assert worker.pod.state() == "active"  # the result is not written: the worker still has it
    eventually(lambda: producer.succeeded(running), "the result is written")
    assert producer("result", invocation_id=running) == "running"
    eventually(lambda: producer.succeeded(queued), "the worker goes on")
    assert line.executions() == ["running", "queued"]
    worker.sigterm()
    assert worker.exit_code() == 0


@pytest.mark.parametrize("line", ALL_LINES, indirect=True)
def test_a_worker_that_waits_for_a_child_outlives_an_outage(
    start_worker: StartWorker, producer: Producer, line: Line, broker_away: Away
) -> None:
    parent = producer.call("ask_child", name="parent")
    line.open_gate("parent")
    worker = start_worker()
    eventually(lambda: "parent-child" in line.executions(), "the child runs")
    with broker_away:
        time.sleep(3)
        line.open_gate("parent-child")
        time.sleep(1)
    eventually(lambda: producer.succeeded(parent), "parent and child end")
    assert line.executions() == ["parent", "parent-child"]
    assert worker.process.poll() is None


@pytest.mark.parametrize("line", [REDIS, MONGODB], indirect=True)
def test_a_worker_starts_while_its_server_is_away(
    start_worker: StartWorker, producer: Producer, line: Line, broker_away: Away
) -> None:
    invocation = producer.call("nap", name="a", seconds=0.1)
    with broker_away:
        worker = start_worker()
        worker.says("idle")
    eventually(lambda: producer.succeeded(invocation), "it works once it is there")
    assert line.executions() == ["a"]
    worker.sigterm()
    assert worker.exit_code() == 0


@pytest.mark.parametrize("line", ONE_LINE_IN_MAKE_TEST, indirect=True)
def test_what_a_killed_worker_held_is_handed_on_when_its_id_is_named(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    ids = [producer.call("hold", name=name) for name in ("a", "b")]
    threads = {"PYNENC__CONFIGTHREADRUNNER__MAX_THREADS": "2"}
    victim = start_worker(**threads)
    eventually(lambda: len(line.executions()) == 2, "both run")
    bystander_task = producer.call("hold", name="c")
    bystander = start_worker()
    eventually(lambda: len(line.executions()) == 3, "another worker runs something, too")
    victim.kill()
    rescuer = start_worker(**threads)
    rescuer.says("idle")
    assert [producer("status", invocation_id=one) for one in ids] == ["running", "running"]
    rescuer.pod.request(contract.RECOVER_RUNNERS, f"{victim.pod.uid} {rescuer.pod.uid}")
    eventually(lambda: len(line.executions()) == 5, "what it held runs again")
    assert contract.RECOVERED_RUNNERS not in rescuer.pod.annotations()
    for name in ("a", "b", "c"):
        line.open_gate(name)
    eventually(lambda: all(map(producer.succeeded, [*ids, bystander_task])), "all end")
    assert sorted(line.executions()) == ["a", "a", "b", "b", "c"]
    assert sorted(line.executions("end")) == ["a", "b", "c"]
    eventually(
        lambda: rescuer.pod.annotations().get(contract.RECOVERED_RUNNERS) == victim.pod.uid,
        "the operator is told when nothing can be lost any more",
        within=100,
    )
    assert bystander.process.poll() is None


@pytest.mark.parametrize("line", ALL_LINES, indirect=True)
def test_a_task_that_cannot_be_imported_does_not_take_its_neighbours_along(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    before = producer.call("nap", name="before", seconds=0.5)
    unknown = producer.call("unheard_of", module="unknown_to_workers")
    after = producer.call("nap", name="after", seconds=0.1)
    worker = start_worker(PYNENC__CONFIGTHREADRUNNER__MAX_THREADS="3")
    eventually(lambda: producer.succeeded(before) and producer.succeeded(after), "the neighbours end")
    eventually(lambda: producer("status", invocation_id=unknown) == "failed", "the producer learns of it")
    answer = producer("result", invocation_id=unknown)
    assert "the worker can't start the task" in answer
    assert "unknown_to_workers" in answer
    assert f"invocation {unknown} is failed" in worker.log()
    assert producer("queued") == 0
    assert line.executions() == ["before", "after"]
    assert worker.process.poll() is None


def test_a_task_that_exits_is_failed(start_worker: StartWorker, producer: Producer, line: Line) -> None:
    leaving = producer.call("leave", name="a")
    worker = start_worker()
    eventually(lambda: producer("status", invocation_id=leaving) == "failed", "it does not stay running for ever")
    assert "SystemExit" in producer("result", invocation_id=leaving)
    assert line.executions() == ["a"]
    assert worker.process.poll() is None


@pytest.mark.parametrize("line", [REDIS], indirect=True)
def test_a_rotated_password_restarts_nothing(
    start_worker: StartWorker, producer: Producer, line: Line, redis_server: RedisServer
) -> None:
    secret = line.folder / "backend" / "url"
    secret.parent.mkdir()
    address = f"127.0.0.1:{redis_server.port}/0"
    assert redis_server.command("ACL", "SETUSER", "worker", "on", ">old", "~*", "&*", "+@all") == "+OK"
    secret.write_text(f"redis://worker:old@{address}")
    worker = start_worker(PYNENC_WORKER_BACKEND_URL="")
    first = producer.call("nap", name="first", seconds=0.1)
    eventually(lambda: producer.succeeded(first), "it works with the first password")
    assert redis_server.command("ACL", "SETUSER", "worker", "resetpass", ">new") == "+OK"
    redis_server.command("CLIENT", "KILL", "USER", "worker")
    second = producer.call("nap", name="second", seconds=0.1)
    eventually(lambda: "the broker can't be reached" in worker.log(), "the old password is refused")
    secret.write_text(f"redis://worker:new@{address}")
    eventually(lambda: producer.succeeded(second), "it works with the second password")
    assert line.executions() == ["first", "second"]
    assert "old" not in worker.log()
    assert ":new" not in worker.log()


@pytest.mark.parametrize("line", ALL_LINES, indirect=True)
def test_a_task_that_asks_for_another_try_gets_it_at_once(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    """Its id is in the queue again before the thread of its first try has ended."""
    names = [f"flaky{number}" for number in range(12)]
    called = [producer.call("flaky", name=name) for name in names]
    worker = start_worker(PYNENC__CONFIGTHREADRUNNER__MAX_THREADS="4")
    eventually(lambda: all(producer.succeeded(each) for each in called), "every second try succeeds")
    assert sorted(line.executions()) == sorted(names * 2)
    worker.sigterm()
    assert worker.exit_code() == 0
