"""What is asked of a MongoDB, on FerretDB filled by pynenc itself with the plugin's own client."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pynenc_operator import brokerclients
from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.broker import BackendSource
from pynenc_operator.brokerclients import BrokerClients
from pynenc_operator.mongoqueue import COUNTED_EXACTLY, collection_prefix
from pynenc_operator.questions import HELD, CountInvocations, CountQueue, OldestEntry, ReadHeartbeats
from tests.integration.mongo_server import MongoServer
from tests.integration.operator.tcp_proxy import TcpProxy
from tests.integration.worker.processes import Line, Producer

_apps = count(1)


@pytest.fixture
def app_id() -> str:
    return f"mongo-app.{next(_apps)}"


@pytest.fixture
def backend(mongo_server: MongoServer, app_id: str) -> Backend:
    return Backend(BackendKind.MONGODB, mongo_server.url, app_id)


@pytest.fixture
def producer(mongo_server: MongoServer, mongodb_python: Path, tmp_path: Path, app_id: str) -> Iterator[Producer]:
    producer = Producer(Line(mongodb_python, "mongodb", mongo_server.url, tmp_path, app_id=app_id))
    yield producer
    producer.close()


@pytest.fixture
def source() -> Iterator[BackendSource]:
    source = BackendSource(allow_local=True)
    yield source
    source.close()


async def asked(source: BackendSource, backend: Backend) -> BrokerErrorKind | int:
    try:
        return (await source.ask(backend, CountQueue())).waiting
    except BrokerError as error:
        return error.kind


async def test_a_count_is_pynencs_own(producer: Producer, source: BackendSource, backend: Backend) -> None:
    assert (await source.ask(backend, CountQueue())).waiting == 0
    for number in range(3):
        producer.call("nap", name=str(number), seconds=0)
        assert (await source.ask(backend, CountQueue())).waiting == producer("queued") == number + 1
    for left in (2, 1, 0):
        assert producer("pop")
        assert (await source.ask(backend, CountQueue())).waiting == producer("queued") == left


@pytest.mark.parametrize("length", [COUNTED_EXACTLY - 1, COUNTED_EXACTLY, COUNTED_EXACTLY + 300])
async def test_a_long_queue_is_counted_by_the_servers_own_number(
    producer: Producer, source: BackendSource, backend: Backend, mongo_server: MongoServer, app_id: str, length: int
) -> None:
    entries = [{"invocation_id": str(number), "created_at": datetime.now(UTC)} for number in range(length)]
    with mongo_server.database() as database:
        database[f"{collection_prefix(app_id)}_broker_message_queue"].insert_many(entries)
    assert (await source.ask(backend, CountQueue())).waiting == producer("queued") == length


async def test_what_is_held_who_lives_and_what_is_next_is_read_as_the_plugin_keeps_it(
    producer: Producer, source: BackendSource, backend: Backend
) -> None:
    before = time.time()
    held = CountInvocations(HELD)
    assert await source.ask(backend, held) == dict.fromkeys(HELD, 0)
    for question in (ReadHeartbeats(), OldestEntry()):
        assert not await source.ask(backend, question)
    for number in range(3):
        producer.call("nap", name=str(number), seconds=0)
    for runner_id in ("a", "b"):
        producer("claim", runner_id=runner_id)
    assert await source.ask(backend, held) == dict.fromkeys(HELD, 0) | {"pending": 2}
    everyone = await source.ask(backend, ReadHeartbeats())
    assert everyone is not None
    assert [beat.runner_id for beat in everyone] == ["b", "a"]
    assert all(before - 1 <= beat.last <= time.time() for beat in everyone)
    assert await source.ask(backend, ReadHeartbeats(("a", "unknown"))) == (everyone[1],)
    ready = await source.ask(backend, OldestEntry())
    assert ready is not None
    assert before - 1 <= ready <= time.time()


async def test_a_look_leaves_nothing_behind(
    source: BackendSource, backend: Backend, mongo_server: MongoServer, app_id: str
) -> None:
    for question in (CountQueue(), CountInvocations(HELD), ReadHeartbeats(), OldestEntry()):
        await source.ask(backend, question)
    with mongo_server.database() as database:
        assert not [name for name in database.list_collection_names() if name.startswith(collection_prefix(app_id))]


async def test_the_urls_database_is_the_one_that_is_read(
    source: BackendSource, mongo_server: MongoServer, app_id: str
) -> None:
    with mongo_server.database("jobs") as database:
        database[f"{collection_prefix(app_id)}_broker_message_queue"].insert_one({"invocation_id": "one"})
    assert await asked(source, Backend(BackendKind.MONGODB, f"{mongo_server.url}jobs", app_id)) == 1
    assert await asked(source, Backend(BackendKind.MONGODB, mongo_server.url, app_id)) == 0


async def test_a_refused_password_is_told_apart_from_a_missing_server(tmp_path: Path, source: BackendSource) -> None:
    with MongoServer.running(tmp_path, user="reader", password="right") as server:
        for password, expected in (("right", 0), ("wrong", BrokerErrorKind.AUTHENTICATION)):
            url = f"mongodb://reader:{password}@{server.address}"
            assert await asked(source, Backend(BackendKind.MONGODB, url, "app")) == expected
        assert (
            await asked(source, Backend(BackendKind.MONGODB, f"mongodb://{server.address}", "app"))
            == BrokerErrorKind.AUTHENTICATION
        )
    assert (
        await asked(source, Backend(BackendKind.MONGODB, f"mongodb://reader:right@{server.address}", "app"))
        == BrokerErrorKind.UNREACHABLE
    )


async def test_a_certificate_has_to_be_of_an_authority_that_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MongoServer.running(tmp_path, tls=True, user="reader", password="right") as server:

        async def why_not(url: str) -> BrokerError | None:
            source = BackendSource(allow_local=True)  # a client reads the authorities when it is made
            try:
                await source.ask(Backend(BackendKind.MONGODB, url, "app"), CountQueue())
            except BrokerError as error:
                return error
            finally:
                source.close()
            return None

        refused = await why_not(server.tls_url())
        assert refused
        assert refused.kind is BrokerErrorKind.UNREACHABLE
        assert "does not trust its certificate" in str(refused)
        assert await why_not(server.tls_url("&tlsInsecure=true")) is None
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        assert await why_not(server.tls_url()) is None
        other_name = server.tls_url().replace("127.0.0.1", "localhost")  # the certificate is for the address
        assert await why_not(other_name)
        assert await why_not(server.tls_url().replace("tls=true", "tls=false"))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mongodb://127.0.0.1:1", "ConnectionRefusedError"),
        ("mongodb://nowhere.invalid", "gaierror: its host's name does not resolve"),
        ("mongodb+srv://nowhere.invalid", "its domain does not resolve"),
    ],
)
async def test_why_a_server_is_not_reached_is_told_and_its_url_is_not(
    source: BackendSource, url: str, told: str
) -> None:
    with pytest.raises(BrokerError) as failed:
        await source.ask(Backend(BackendKind.MONGODB, url, "app"), CountQueue())
    assert failed.value.kind is BrokerErrorKind.UNREACHABLE
    assert told in str(failed.value)
    assert "nowhere" not in str(failed.value)
    assert "127.0.0.1" not in str(failed.value)


async def test_a_silent_server_costs_less_than_a_counts_deadline(source: BackendSource, black_hole: str) -> None:
    began = time.monotonic()
    url = black_hole.replace("redis://", "mongodb://")
    assert await asked(source, Backend(BackendKind.MONGODB, url, "app")) == BrokerErrorKind.TIMEOUT
    assert time.monotonic() - began < 2.5  # the plugin's own client would take half a minute


async def test_a_server_that_comes_back_is_counted_again(
    source: BackendSource, mongo_server: MongoServer, producer: Producer, app_id: str
) -> None:
    producer.call("nap", name="one", seconds=0)
    async with TcpProxy("127.0.0.1", mongo_server.port) as proxy:
        backend = Backend(BackendKind.MONGODB, f"mongodb://127.0.0.1:{proxy.port}", app_id)
        assert await asked(source, backend) == 1
        proxy.vanish()
        assert await asked(source, backend) in (BrokerErrorKind.TIMEOUT, BrokerErrorKind.UNREACHABLE)
        proxy.appear()
        deadline = time.monotonic() + 30
        while await asked(source, backend) != 1:
            assert time.monotonic() < deadline


async def test_a_name_that_leads_to_the_operators_own_pod_is_never_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve: Callable[..., Any] = socket.getaddrinfo

    def rebound(host: str, *arguments: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if host == "mongo.test" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    source = BackendSource()
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        port = trap.getsockname()[1]
        for hosts in (f"mongo.test:{port}", f"mongo.test:{port},10.255.255.1"):
            for _ in range(2):
                assert (
                    await asked(source, Backend(BackendKind.MONGODB, f"mongodb://{hosts}", "app"))
                    == BrokerErrorKind.REFUSED
                )
        with pytest.raises(TimeoutError):
            trap.accept()
    source.close()


def test_apps_of_one_url_share_a_client_which_ends_with_the_last_of_them(
    mongo_server: MongoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = BrokerClients(allow_local=True, connections=2)
    backends = [Backend(BackendKind.MONGODB, mongo_server.url, f"app-{number}") for number in range(20)]
    other = Backend(BackendKind.MONGODB, mongo_server.url + "elsewhere", "app-0")
    brokers = [clients.broker(backend, now=0.0) for backend in (*backends, other)]
    assert len({id(broker.client) for broker in brokers}) == 2
    assert {id(broker.client) for broker in brokers[:-1]} == {id(brokers[0].client)}
    for broker in brokers:
        assert broker.count_invocations() == 0
    shared = brokers[0].client
    closed = threading.Event()
    monkeypatch.setattr(shared, "close", closed.set)
    clients.broker(backends[0], now=brokerclients.UNUSED_SECONDS)
    clients.evict(brokerclients.UNUSED_SECONDS + 1, set())
    assert backends[0] in clients
    assert backends[1] not in clients
    assert not closed.wait(0.2)
    clients.evict(3 * brokerclients.UNUSED_SECONDS, set())
    assert closed.wait(10)
    monkeypatch.undo()
    shared.close()
    clients.close()
