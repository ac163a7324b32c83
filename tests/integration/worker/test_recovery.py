"""Recovery on a real Redis, with the stories that a process would take minutes to tell."""

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Barrier, Thread
from typing import Any

import pytest
from pynenc import Pynenc
from pynenc.core_tasks import core_tasks_registry
from pynenc.exceptions import InvocationStatusError
from pynenc.invocation.status import InvocationStatus as S
from pynenc.orchestrator.atomic_service import AtomicServiceExecutionStatus, AtomicServiceRun
from pynenc.runner.runner_context import RunnerContext
from pynenc_redis.util.mongo_client import _REDIS_POOLS

from pynenc_worker import invocations, queuekeys, redis_backend
from pynenc_worker.atomic_service import AtomicService
from pynenc_worker.drain import Drain
from pynenc_worker.index import InvocationIndex
from pynenc_worker.metrics import WorkerMetrics
from pynenc_worker.recovery import (
    ANSWER_LENGTH,
    FORGET_SILENT_AFTER,
    TRUST_HEARTBEATS_AFTER_SECONDS,
    Recovery,
)
from tests.integration.redis_server import RedisServer
from tests.integration.redis_users import make_user
from tests.integration.worker import redis_tasks

# pynenc stores exceptions with jsonpickle, which announces a change of its own.
pytestmark = pytest.mark.filterwarnings("ignore:keys will default:DeprecationWarning")
DEAD = "dead-runner"
US = RunnerContext("DrainableThreadRunner", "us")
_numbers = count(1)


@pytest.fixture
def app(redis_server: RedisServer) -> Iterator[Pynenc]:
    """The app of redis_tasks on the tests' Redis, under a new id, as a user who may do no more than the docs say."""
    app = redis_tasks.app
    app_id = f"recovery{next(_numbers)}"
    redis_server.command("ACL", "LOG", "RESET")
    components = ("Orchestrator", "Broker", "StateBackend", "Trigger", "ClientDataStore")
    names = ("orchestrator_cls", "broker_cls", "state_backend_cls", "trigger_cls", "client_data_store_cls")
    app.config_values = {
        "app_id": app_id,
        "redis_url": make_user(redis_server, app_id),
        "atomic_service_spread_margin_minutes": 0.002,
        "atomic_service_max_start_slot_fraction": 1.0,
        **{name: f"Redis{component}" for name, component in zip(names, components, strict=True)},
    }
    app._reset_cached_components()
    redis_backend.install(app, app.broker)
    yield app
    for pool in _REDIS_POOLS.values():
        pool.disconnect()
    app._reset_cached_components()
    assert redis_server.command("ACL", "LOG") == "*0"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recovery(app: Pynenc, clock: Clock) -> Recovery:
    return Recovery(app, US, redis_backend.RedisIndex(app), WorkerMetrics(), lambda: None, clock)


def enqueued(app: Pynenc) -> str:
    del app
    return str(redis_tasks.anything().invocation_id)


def running_on(app: Pynenc, runner_id: str) -> str:
    invocation_id = enqueued(app)
    assert app.broker.retrieve_invocation() == invocation_id
    for status in (S.PENDING, S.RUNNING):
        app.orchestrator.set_invocation_status(invocation_id, status, RunnerContext("ThreadRunner", runner_id))
    return invocation_id


def make_older(app: Pynenc, invocation_id: str, seconds: float) -> None:
    """Let a status be from earlier."""
    key = app.orchestrator.key.invocation_to_status(invocation_id)
    record = json.loads(app.orchestrator.client.get(key))
    record["timestamp"] = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    app.orchestrator.client.set(key, json.dumps(record))


def status(app: Pynenc, invocation_id: str) -> S:
    found: S = app.orchestrator.get_invocation_status(invocation_id)
    return found


def silence(app: Pynenc, runner_id: str, seconds: float) -> None:
    """Let a runner's last heartbeat be from earlier."""
    app.orchestrator.register_runner_heartbeats([runner_id], can_run_atomic_service=True)
    key = app.orchestrator.key.runner_heartbeat(runner_id)
    app.orchestrator.client.hset(key, "last_heartbeat", time.time() - seconds)


def heard(app: Pynenc) -> set[str]:
    """Runners that have a heartbeat, however old."""
    key = app.orchestrator.key
    return {
        raw.decode()
        for raw in app.orchestrator.client.zrange(key.runner_heartbeats(), 0, -1)
        if app.orchestrator.client.exists(key.runner_heartbeat(raw.decode()))
    }


def test_who_left_without_taking_its_heartbeat_back_is_forgotten_in_the_slot(
    app: Pynenc, recovery: Recovery, clock: Clock
) -> None:
    long = FORGET_SILENT_AFTER * app.conf.runner_considered_dead_after_minutes * 60
    silence(app, "left", long + 1)
    silence(app, "silent", long - 60)
    app.orchestrator.register_runner_heartbeats(["living"])
    recovery.in_slot()
    assert heard(app) == {"left", "silent", "living"}  # after a start no heartbeat is trusted
    clock.now += TRUST_HEARTBEATS_AFTER_SECONDS
    recovery.in_slot()
    assert heard(app) == {"silent", "living"}


def test_a_silent_runner_that_holds_something_is_not_forgotten(
    app: Pynenc, recovery: Recovery, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.orchestrator, "get_running_invocations_for_recovery", list)
    running_on(app, DEAD)
    silence(app, DEAD, 1e6)
    clock.now += TRUST_HEARTBEATS_AFTER_SECONDS
    recovery.in_slot()
    assert heard(app) == {DEAD}
    monkeypatch.undo()
    recovery.in_slot()
    assert heard(app) == set()  # what it held is queued again


def test_just_the_named_runners_invocations_are_handed_on(app: Pynenc, recovery: Recovery) -> None:
    dead, living = running_on(app, DEAD), running_on(app, "living-runner")
    app.orchestrator.register_runner_heartbeats([DEAD])
    recovery.step()
    assert status(app, dead) is S.RUNNING
    recovery.ask((DEAD, US.runner_id))
    assert recovery.answer() == ""
    recovery.step()
    assert (status(app, dead), status(app, living)) == (S.REROUTED, S.RUNNING)
    assert redis_backend.RedisIndex(app).queued() == {dead}
    assert app.orchestrator.get_active_runners() == []  # its heartbeat went, too


def test_a_runner_is_answered_when_the_search_for_what_it_lost_is_over(
    app: Pynenc, recovery: Recovery, clock: Clock
) -> None:
    lost = enqueued(app)
    assert app.broker.retrieve_invocation() == lost  # the runner died with it
    recovery.ask((DEAD,))
    began = clock.now
    while recovery.answer() != DEAD:
        recovery.step()
        clock.now += 1
        if clock.now == began + 60:
            make_older(app, lost, 60)
        assert clock.now < began + 100
    assert redis_backend.RedisIndex(app).queued() == {lost}
    assert 70 <= clock.now - began <= 81
    recovery.ask(())
    assert recovery.answer() == ""


def test_later_deaths_do_not_postpone_earlier_answers(recovery: Recovery, clock: Clock) -> None:
    began, asked, answered = clock.now, dict[str, float](), dict[str, float]()
    while clock.now < began + 200:
        since = clock.now - began
        if since < 100 and since % 5 == 0:
            asked[f"dead-{since:.0f}"] = since
        recovery.ask(tuple(one for one in asked if one not in answered))
        recovery.step()
        for runner_id in recovery.answer().split():
            answered[runner_id] = since
        clock.now += 1
    assert answered.keys() == asked.keys()
    assert all(70 <= answered[one] - asked[one] <= 81 for one in asked), (asked, answered)


def test_a_look_that_an_outage_prevents_does_not_count(
    app: Pynenc, recovery: Recovery, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovery.ask((DEAD,))
    recovery.step()
    clock.now += 60
    recovery.step()

    def away(*_: object) -> Any:
        raise ConnectionError

    with monkeypatch.context() as outage:
        outage.setattr(app.broker.client, "lrange", away)
        for _ in range(30):
            clock.now += 1
            with contextlib.suppress(ConnectionError):
                recovery.step()
    assert recovery.answer() == ""
    clock.now += 10
    recovery.step()
    assert recovery.answer() == DEAD


def test_an_answer_is_never_longer_than_the_policy_allows(recovery: Recovery, clock: Clock) -> None:
    names = tuple(f"{number:036d}" for number in range(40))
    recovery.ask(names)
    recovery.step()
    for _ in range(2):
        clock.now += 60
        recovery.step()
    answered = recovery.answer().split()
    assert answered == list(names[:27])
    assert len(recovery.answer()) <= ANSWER_LENGTH
    recovery.ask(names[27:])
    assert recovery.answer().split() == list(names[27:])


def test_an_id_that_a_dead_worker_had_popped_is_queued_again(app: Pynenc, recovery: Recovery, clock: Clock) -> None:
    lost, waiting, young = enqueued(app), enqueued(app), enqueued(app)
    assert app.broker.retrieve_invocation() == lost
    make_older(app, lost, 61)
    make_older(app, waiting, 61)
    recovery.ask((DEAD,))
    recovery.step()
    clock.now += 9
    recovery.step()
    assert redis_backend.RedisIndex(app).queued() == {waiting, young}  # once may be chance
    clock.now += 2
    recovery.step()
    assert redis_backend.RedisIndex(app).queued() == {waiting, young, lost}
    assert app.broker.count_invocations() == 3
    clock.now += 11
    recovery.step()
    assert app.broker.count_invocations() == 3


def test_what_was_left_halfway_to_the_queue_goes_there(app: Pynenc, recovery: Recovery, clock: Clock) -> None:
    stranded = running_on(app, DEAD)
    app.orchestrator.set_invocation_status(stranded, S.RUNNING_RECOVERY, US)
    recovery.ask(("another",))
    recovery.step()
    assert status(app, stranded) is S.RUNNING_RECOVERY
    make_older(app, stranded, 61)
    clock.now += 11
    recovery.step()
    assert status(app, stranded) is S.REROUTED
    assert redis_backend.RedisIndex(app).queued() == {stranded}


def test_in_the_slot_what_was_left_halfway_goes_to_the_queue_without_being_asked(
    app: Pynenc, recovery: Recovery, clock: Clock
) -> None:
    stranded, young = running_on(app, DEAD), running_on(app, DEAD)
    for one in (stranded, young):
        app.orchestrator.set_invocation_status(one, S.RUNNING_RECOVERY, US)
    make_older(app, stranded, 61)
    clock.now += TRUST_HEARTBEATS_AFTER_SECONDS
    recovery.in_slot()
    assert [status(app, one) for one in (stranded, young)] == [S.REROUTED, S.RUNNING_RECOVERY]
    assert redis_backend.RedisIndex(app).queued() == {stranded}


def test_in_the_slot_runners_without_heartbeat_are_recovered_once_heartbeats_can_be_trusted(
    app: Pynenc, recovery: Recovery, clock: Clock
) -> None:
    orphan, living, pending = running_on(app, DEAD), running_on(app, "living-runner"), enqueued(app)
    silence(app, DEAD, 601)
    silence(app, "living-runner", 5)
    app.orchestrator.set_invocation_status(pending, S.PENDING, RunnerContext("ThreadRunner", DEAD))
    make_older(app, pending, 10)
    recovery.in_slot()
    assert status(app, orphan) is S.RUNNING
    recovery.in_outage()
    clock.now += 3600
    recovery.in_slot()  # in the first round that finds the broker back: every heartbeat is old
    assert status(app, orphan) is S.RUNNING
    recovery.after_outage()
    recovery.in_slot()
    assert status(app, orphan) is S.RUNNING
    clock.now += 61
    recovery.in_slot()
    assert [status(app, one) for one in (orphan, pending, living)] == [S.REROUTED, S.REROUTED, S.RUNNING]


def test_an_invocation_of_a_dead_worker_that_cannot_be_loaded_is_failed(
    app: Pynenc, recovery: Recovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = running_on(app, DEAD)

    def cannot(_: str) -> Any:
        raise ModuleNotFoundError("no module named elsewhere")

    monkeypatch.setattr(app.state_backend, "get_invocation", cannot)
    recovery.ask((DEAD,))
    recovery.step()
    assert status(app, poison) is S.FAILED
    assert "can't start the task" in str(app.state_backend.get_exception(poison))
    assert [entry.status_record.status for entry in app.state_backend.get_history(poison)][-1] is S.FAILED


def test_one_that_cannot_be_read_does_not_keep_the_others_of_a_dead_runner(
    app: Pynenc, recovery: Recovery, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    held = [running_on(app, DEAD) for _ in range(5)]
    broken = held[2]
    app.orchestrator.client.set(app.orchestrator.key.invocation_to_status(broken), "no JSON")
    recovery.ask((DEAD,))
    recovery.step()
    assert redis_backend.RedisIndex(app).queued() == set(held) - {broken}
    assert f"invocation {broken} can't be recovered and is left: JSONDecodeError" in caplog.text
    for _ in range(2):
        clock.now += 60
        recovery.step()
    assert recovery.answer() == DEAD


def test_what_waits_in_a_queue_of_pynenc_0_4_is_not_lost_to_a_worker_of_the_line_before(app: Pynenc) -> None:
    prefix, client = app.broker.key.prefix, app.broker.client
    client.sadd(queuekeys.names(prefix), "gpu")
    client.rpush(queuekeys.listed(prefix, "gpu"), "plain")
    client.zadd(queuekeys.prioritized(prefix, "gpu"), {"0000000000000001:soon": -1.0})
    client.zadd(queuekeys.prioritized(prefix, queuekeys.DEFAULT), {"0000000000000001:late": 1.0})
    ours = enqueued(app)
    index = redis_backend.RedisIndex(app)
    assert index.queued() == {"plain", "soon", "late", ours}
    assert index.queue_head(9) == [ours]  # which is all that it can take


@pytest.mark.parametrize("where", ["reroute_invocations", "route_invocation"])
def test_one_that_cannot_be_queued_does_not_keep_the_others_that_got_lost(
    app: Pynenc, recovery: Recovery, clock: Clock, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [enqueued(app) for _ in range(5)]
    for one in ids:
        assert app.broker.retrieve_invocation() == one
        if where == "reroute_invocations":
            for step in (S.PENDING, S.PENDING_RECOVERY):
                app.orchestrator.set_invocation_status(one, step, US)
        make_older(app, one, 61)
    component = app.orchestrator if where == "reroute_invocations" else app.broker
    real = getattr(component, where)

    def queue(which: Any, *rest: Any) -> None:
        if ids[2] in (which, *which):
            raise RuntimeError("no place for it")
        real(which, *rest)

    monkeypatch.setattr(component, where, queue)
    recovery.ask((DEAD,))
    for _ in range(3):
        recovery.step()
        clock.now += 11
    assert redis_backend.RedisIndex(app).queued() == set(ids) - {ids[2]}


def test_in_the_slot_one_that_cannot_be_read_keeps_no_other_and_no_search(
    app: Pynenc, recovery: Recovery, clock: Clock
) -> None:
    orphan, pending, broken, lost = running_on(app, DEAD), enqueued(app), enqueued(app), enqueued(app)
    for one in (pending, broken):
        app.orchestrator.set_invocation_status(one, S.PENDING, RunnerContext("ThreadRunner", DEAD))
        make_older(app, one, 10)
    silence(app, DEAD, 601)
    make_older(app, lost, 61)
    app.broker.client.delete(app.broker.key.default_queue())  # an outage took the queue along
    app.orchestrator.client.set(app.orchestrator.key.invocation_to_status(broken), "no JSON")
    recovery.after_outage()
    clock.now += 61
    recovery.in_slot()
    assert status(app, orphan) is S.REROUTED
    for _ in range(3):
        recovery.step()
        clock.now += 11
    assert lost in (redis_backend.RedisIndex(app).queued() or ())


def test_where_a_queue_shows_nothing_while_it_holds_something_the_search_after_an_outage_waits(
    app: Pynenc, clock: Clock
) -> None:
    recovery = Recovery(app, US, InvocationIndex(app), WorkerMetrics(), lambda: None, clock)  # as on RabbitMQ
    lost, waiting = enqueued(app), enqueued(app)
    assert app.broker.retrieve_invocation() == lost
    make_older(app, lost, 61)
    recovery.ask((DEAD,))
    recovery.after_outage()
    clock.now += 61
    recovery.in_slot()
    for _ in range(20):
        recovery.step()
        clock.now += 11
    assert recovery.answer() == DEAD  # that a worker has died waits for no empty queue
    assert app.broker.count_invocations() == 1
    assert app.broker.retrieve_invocation() == waiting
    for _ in range(5):
        recovery.step()
        clock.now += 11
    assert app.broker.retrieve_invocation() == lost
    assert app.broker.retrieve_invocation() is None


def test_a_failed_invocation_releases_who_waits_for_it(app: Pynenc) -> None:
    child, parent = running_on(app, US.runner_id), running_on(app, US.runner_id)
    app.orchestrator.waiting_for_results(parent, [child])
    invocations.fail(app, US, child, RuntimeError("gone"))
    assert not app.orchestrator.client.exists(app.orchestrator.blocking_control.key.waiting_for(parent))


@pytest.fixture
def atomic(app: Pynenc, recovery: Recovery) -> AtomicService:
    service = AtomicService(app, US, Drain(timeout=60), recovery)
    service.install()
    return service


def test_a_slot_whose_holder_died_is_freed(app: Pynenc, atomic: AtomicService) -> None:
    silence(app, DEAD, 601)
    started = datetime.now(UTC) - timedelta(minutes=3)
    app.orchestrator.record_atomic_service_execution_start(AtomicServiceRun(runner_id=DEAD), started)
    atomic.step()
    assert app.orchestrator.get_active_atomic_service_executions() == []
    atomic._checked_at = None
    atomic.step()
    done = app.orchestrator.get_atomic_service_executions_in_timerange(started, datetime.now(UTC))
    assert [one.status.value for one in done if one.runner_id == US.runner_id] == ["completed", "blocked"]


def test_a_slot_whose_holder_lives_is_left_to_it(app: Pynenc, atomic: AtomicService) -> None:
    silence(app, "living-runner", 1)
    app.orchestrator.record_atomic_service_execution_start(
        AtomicServiceRun(runner_id="living-runner"), datetime.now(UTC)
    )
    for _ in range(2):
        atomic._checked_at = None
        atomic.step()
    assert [one.runner_id for one in app.orchestrator.get_active_atomic_service_executions()] == ["living-runner"]


def test_no_atomic_service_while_draining(app: Pynenc, recovery: Recovery) -> None:
    drain = Drain(timeout=60)
    drain.request("d")
    AtomicService(app, US, drain, recovery).step()
    assert app.orchestrator.get_active_runners() == []


@pytest.mark.parametrize("runners", [1, 5, 100])
def test_there_is_a_slot_however_many_runners_there_are(app: Pynenc, atomic: AtomicService, runners: int) -> None:
    for number in range(runners - 1):
        app.orchestrator.register_runner_heartbeats([f"runner-{number}"], can_run_atomic_service=True)
    app.orchestrator.register_runner_heartbeats([US.runner_id], can_run_atomic_service=True)
    begun = datetime.now(UTC)
    ours = sorted(info.runner_id for info in app.orchestrator.get_active_runners())
    assert len(ours) == runners
    deadline = time.monotonic() + 60
    ran: set[str] = set()
    while "completed" not in ran:
        assert time.monotonic() < deadline
        for runner_id in ours:  # one of them has the slot of this moment; on a busy machine it moves on meanwhile
            service = AtomicService(app, RunnerContext("ThreadRunner", runner_id), Drain(timeout=60), atomic._recovery)
            service.step()
        executions = app.orchestrator.get_atomic_service_executions_in_timerange(begun, datetime.now(UTC))
        ran = {one.status.value for one in executions}


def test_the_crons_of_a_stock_runner_are_not_met_for_ever(app: Pynenc, recovery: Recovery) -> None:
    app.register_core_tasks()
    app.register_deferred_triggers()  # as a stock runner does
    assert len(app.trigger._get_all_conditions()) == 2
    AtomicService(app, US, Drain(timeout=60), recovery).install()
    assert len(app.trigger._get_all_conditions()) == 2
    for definition in core_tasks_registry.definitions:
        app.trigger.clean_task_trigger_definitions(app.task(definition.func, **definition.options).task_id)
    assert app.trigger._get_all_conditions() == []


def race_for(app: Pynenc, invocation_id: str) -> list[str]:
    """Four workers that try to run one invocation at the same moment; those that think they may."""
    barrier = Barrier(4)
    winners: list[str] = []

    def claim(name: str) -> None:
        barrier.wait()
        try:
            app.orchestrator._atomic_status_transition(invocation_id, S.PENDING, name)
            app.orchestrator._atomic_status_transition(invocation_id, S.RUNNING, name)
        except InvocationStatusError:
            return
        winners.append(name)

    threads = [Thread(target=claim, args=(f"worker-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return winners


def test_of_workers_that_meet_at_one_invocation_one_gets_it(app: Pynenc) -> None:
    assert [len(race_for(app, enqueued(app))) for _ in range(50)] == [1] * 50


def test_a_trigger_that_fails_keeps_nobodys_invocations_waiting(
    app: Pynenc, atomic: AtomicService, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = datetime.now(UTC)

    def fails(_: AtomicServiceRun) -> None:
        raise LookupError("a task that is no more")

    monkeypatch.setattr(app.trigger, "trigger_loop_iteration", fails)
    orphan = running_on(app, DEAD)
    silence(app, DEAD, 601)
    clock.now += TRUST_HEARTBEATS_AFTER_SECONDS
    atomic.step()
    assert status(app, orphan) is S.REROUTED
    [run] = app.orchestrator.get_atomic_service_executions_in_timerange(started, datetime.now(UTC))
    assert (run.status, run.reason) == (AtomicServiceExecutionStatus.ABANDONED, "exception:LookupError")
