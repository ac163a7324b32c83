"""What is asked of a backend, on a real Redis filled by pynenc itself."""

import gc
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pynenc import Pynenc
from pynenc.invocation.status import InvocationStatus, InvocationStatusRecord

from pynenc_operator.backends import Backend, BackendKind
from pynenc_operator.broker import BackendSource
from pynenc_operator.model import QueueMark
from pynenc_operator.questions import HELD, CountInvocations, CountQueue, Heartbeat, OldestEntry, ReadHeartbeats
from tests.integration.redis_server import RedisServer


@pytest.fixture
def app(redis: RedisServer, request: pytest.FixtureRequest) -> Any:
    """A producer's app; each test has its own."""
    classes = ("orchestrator", "broker", "state_backend", "trigger", "client_data_store")
    names = ("RedisOrchestrator", "RedisBroker", "RedisStateBackend", "RedisTrigger", "RedisClientDataStore")
    values = {f"{component}_cls": name for component, name in zip(classes, names, strict=True)}
    app_id = request.node.name.replace("_", "-")[:40]
    return Pynenc(config_values={"app_id": app_id, "redis_url": redis.url, "logging_level": "error", **values})


@pytest.fixture
def source() -> BackendSource:
    return BackendSource(allow_local=True)


@pytest.fixture
def backend(app: Any, redis: RedisServer) -> Backend:
    return Backend(BackendKind.REDIS, redis.url, app.app_id)


async def test_a_count_is_pynencs_own_and_shows_the_newest_entry(
    app: Any, source: BackendSource, backend: Backend
) -> None:
    assert (await source.ask(backend, CountQueue())).waiting == app.broker.count_invocations() == 0
    app.broker.route_invocations(["one", "two", "three"])
    counted = await source.ask(backend, CountQueue())
    assert counted.waiting == app.broker.count_invocations() == 3
    assert (counted.marks, counted.stayed) == ((QueueMark("default", "three", 3),), None)


async def test_a_second_count_knows_what_has_stayed_however_fast_others_come_and_go(
    app: Any, source: BackendSource, backend: Backend
) -> None:
    app.broker.route_invocations(["one", "two", "three"])
    app.broker.retrieve_invocation()
    app.broker.route_invocations(["four", "five"])
    counted = await source.ask(backend, CountQueue((QueueMark("default", "three", 3),)))
    assert (counted.waiting, counted.marks, counted.stayed) == (4, (QueueMark("default", "five", 4),), 2)
    for _ in range(2):
        app.broker.retrieve_invocation()
    counted = await source.ask(backend, CountQueue((QueueMark("default", "three", 3),)))
    assert (counted.waiting, counted.stayed) == (2, 0)


async def test_the_oldest_entry_has_been_ready_since_its_status_says_so(
    app: Any, source: BackendSource, backend: Backend
) -> None:
    assert await source.ask(backend, OldestEntry()) is None
    app.broker.route_invocations(["unknown", "one", "two"])
    assert await source.ask(backend, OldestEntry()) is None
    app.broker.retrieve_invocation()
    key = app.orchestrator.key
    for name, age in (("one", 300), ("two", 100)):
        record = InvocationStatusRecord(
            InvocationStatus.REGISTERED, timestamp=datetime.now(UTC) - timedelta(seconds=age)
        )
        app.orchestrator.client.set(key.invocation_to_status(name), json.dumps(record.to_json()))
    ready = await source.ask(backend, OldestEntry())
    assert ready is not None
    assert time.time() - ready == pytest.approx(300, abs=30)


async def test_what_is_held_and_who_lives_is_read_as_the_plugin_keeps_it(
    app: Any, source: BackendSource, backend: Backend
) -> None:
    assert await source.ask(backend, CountInvocations(HELD)) == dict.fromkeys(HELD, 0)
    orchestrator = app.orchestrator
    for number, status in enumerate(("RUNNING", "PENDING", "REGISTERED", "SUCCESS")):
        orchestrator.client.sadd(orchestrator.key.status_to_invocations(InvocationStatus[status]), str(number))
    assert await source.ask(backend, CountInvocations(HELD)) == {**dict.fromkeys(HELD, 0), "running": 1, "pending": 1}
    orchestrator.register_runner_heartbeats(["a", "b"])
    everyone = await source.ask(backend, ReadHeartbeats())
    assert everyone is not None
    assert {beat.runner_id for beat in everyone} == {"a", "b"}
    assert await source.ask(backend, ReadHeartbeats(("b", "unknown"))) == (
        Heartbeat("b", next(beat.last for beat in everyone if beat.runner_id == "b")),
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynenc leaves connections open
async def test_sqlite_is_counted_and_does_not_show_its_entries(tmp_path: Path) -> None:
    file = tmp_path / "queue.db"
    producer = Pynenc(config_values={"app_id": "q", "broker_cls": "SQLiteBroker", "sqlite_db_path": str(file)})
    producer.broker.route_invocations(["one", "two"])
    source, backend = BackendSource(), Backend(BackendKind.SQLITE, str(file), "q")
    assert (await source.ask(backend, CountQueue())).waiting == producer.broker.count_invocations() == 2
    assert await source.ask(backend, OldestEntry()) is None
    del source, producer
    gc.collect()  # while what they leave open is still ignored
