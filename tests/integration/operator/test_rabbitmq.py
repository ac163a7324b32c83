"""Counting on a real RabbitMQ that pynenc itself has filled, and what is told when that can't be done."""

import asyncio
import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from pynenc import Pynenc

from pynenc_operator import addresses as checked
from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.broker import BackendSource
from pynenc_operator.questions import CountQueue
from tests.integration.operator.tcp_proxy import TcpProxy
from tests.integration.operator.trap import Trap
from tests.integration.rabbitmq_server import PASSWORD, USER, RabbitServer
from tests.integration.redis_server import RedisServer

_prefixes = (f"test{number}" for number in itertools.count(1))


@pytest.fixture
def source() -> Iterator[BackendSource]:
    with closing(BackendSource(allow_local=True)) as source:
        yield source


@pytest.fixture
def prefix() -> str:
    return next(_prefixes)


@pytest.fixture
def broker(rabbitmq_server: RabbitServer, prefix: str) -> Iterator[Any]:
    """The plugin's own, of an app of this test's; it tries once."""
    settings = {
        "app_id": prefix,
        "broker_cls": "RabbitMqBroker",
        "logging_level": "critical",
        "rabbitmq_host": "127.0.0.1",
        "rabbitmq_port": rabbitmq_server.port,
        "rabbitmq_username": USER,
        "rabbitmq_password": PASSWORD,
        "rabbitmq_virtual_host": "shop",
        "rabbitmq_queue_prefix": prefix,
        "rabbitmq_retry_max_attempts": 1,
    }
    broker = Pynenc(config_values=settings).broker
    yield broker
    broker._client.close()


def backend(url: str, prefix: str, app_id: str = "reports") -> Backend:
    return Backend(BackendKind.RABBITMQ, url, app_id, queue=f"{prefix}_broker_messages")


async def count(source: BackendSource, backend: Backend) -> int:
    return (await source.ask(backend, CountQueue())).waiting


async def why_not(source: BackendSource, backend: Backend) -> BrokerError:
    with pytest.raises(BrokerError) as caught:
        await source.ask(backend, CountQueue())
    return caught.value


async def test_a_count_is_pynencs_own(
    rabbitmq_server: RabbitServer, source: BackendSource, broker: Any, prefix: str
) -> None:
    queue = backend(rabbitmq_server.url_of(vhost="shop"), prefix)
    assert await count(source, queue) == 0  # there is no such queue yet
    broker.route_invocations(["one", "two", "three"])
    assert await count(source, queue) == broker.count_invocations() == 3
    assert broker.retrieve_invocation() == "one"
    assert await count(source, queue) == broker.count_invocations() == 2
    assert await count(source, backend(rabbitmq_server.url_of(vhost="/"), prefix)) == 0
    broker.purge()
    assert await count(source, queue) == broker.count_invocations() == 0


async def test_runners_of_one_url_share_a_connection_and_no_other_runner_uses_it(
    rabbitmq_server: RabbitServer, source: BackendSource, prefix: str
) -> None:
    async with TcpProxy("127.0.0.1", rabbitmq_server.port) as proxy:
        url = rabbitmq_server.url_of(port=proxy.port)
        queues = [backend(url, f"{prefix}{number}", f"app{number}") for number in range(20)]
        for _ in range(3):
            assert await asyncio.gather(*(count(source, queue) for queue in queues)) == [0] * 20
        assert proxy.connections == 1
        for login in ((USER, "wr0ng"), (USER, ""), ("guest", "guest"), ("nobody", PASSWORD)):
            error = await why_not(source, backend(rabbitmq_server.url_of(*login, port=proxy.port), prefix))
            assert error.kind is BrokerErrorKind.AUTHENTICATION, login
            assert PASSWORD not in str(error)
        assert await count(source, queues[0]) == 0
        assert proxy.connections == 5


async def test_a_connection_that_was_closed_meanwhile_fails_no_count(
    rabbitmq_server: RabbitServer, source: BackendSource, prefix: str
) -> None:
    async with TcpProxy("127.0.0.1", rabbitmq_server.port) as proxy:
        queue = backend(rabbitmq_server.url_of(port=proxy.port), prefix)
        for _ in range(3):
            assert await count(source, queue) == 0
            proxy.close_connections()
        assert proxy.connections == 3


async def test_the_last_runner_of_a_url_that_is_dropped_closes_the_connection(
    rabbitmq_server: RabbitServer, prefix: str
) -> None:
    now = 0.0
    source = BackendSource(allow_local=True, monotonic=lambda: now)
    async with TcpProxy("127.0.0.1", rabbitmq_server.port) as proxy:
        url = rabbitmq_server.url_of(port=proxy.port)
        one, two = backend(url, f"{prefix}a"), backend(url, f"{prefix}b")
        assert [await count(source, queue) for queue in (one, two)] == [0, 0]
        now = 590
        assert await count(source, two) == 0
        now = 620  # the first has not been counted for ten minutes
        assert await count(source, two) == 0
        assert (proxy.connections, len(proxy.open)) == (1, 1)
        now = 1300
        assert await count(source, backend(rabbitmq_server.url, prefix)) == 0
        deadline = time.monotonic() + 20
        while proxy.open:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    source.close()


async def test_what_stands_in_the_way_is_told(
    rabbitmq_server: RabbitServer, redis: RedisServer, black_hole: str, source: BackendSource, prefix: str
) -> None:
    told = {
        rabbitmq_server.url_of(vhost="nowhere"): BrokerErrorKind.AUTHENTICATION,
        redis.url.replace("redis://", "amqp://"): BrokerErrorKind.TIMEOUT,  # it waits for the end of a line
        black_hole.replace("redis://", "amqp://"): BrokerErrorKind.TIMEOUT,
        black_hole.replace("redis://", "amqps://"): BrokerErrorKind.TIMEOUT,
        f"amqps://127.0.0.1:{rabbitmq_server.port}": BrokerErrorKind.UNREACHABLE,  # without TLS there
        "amqp://127.0.0.1:1": BrokerErrorKind.UNREACHABLE,
        "amqp://no-such-host.invalid": BrokerErrorKind.UNREACHABLE,
    }
    for url, kind in told.items():
        error = await why_not(source, backend(url, prefix))
        assert error.kind is kind, url
    assert "does not resolve" in str(error)
    assert await count(source, backend(rabbitmq_server.url, prefix)) == 0


async def test_a_certificate_has_to_be_of_an_authority_that_is_trusted(
    rabbitmq_server: RabbitServer, source: BackendSource, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = backend(rabbitmq_server.url_of(port=rabbitmq_server.tls_port).replace("amqp://", "amqps://"), prefix)
    error = await why_not(source, tls)
    assert error.kind is BrokerErrorKind.UNREACHABLE
    assert "does not trust its certificate" in str(error)
    assert await count(source, replace(tls, url=f"{tls.url}?verify=verify_none")) == 0
    monkeypatch.setenv("SSL_CERT_FILE", str(rabbitmq_server.authority))
    assert await count(source, tls) == 0
    other_name = replace(tls, url=tls.url.replace("127.0.0.1", "localhost"))  # the certificate is for the address
    assert (await why_not(source, other_name)).kind is BrokerErrorKind.UNREACHABLE


@pytest.mark.fault("rabbitmq", "a RabbitMQ that says nothing for a while, then one that is restarted")
async def test_a_server_that_is_silent_or_away_makes_a_count_unknown_and_not_zero(
    rabbitmq_server: RabbitServer, source: BackendSource, broker: Any, prefix: str
) -> None:
    queue = backend(rabbitmq_server.url_of(vhost="shop"), prefix)
    broker.route_invocations(["one", "two"])
    assert await count(source, queue) == 2
    rabbitmq_server.freeze()
    try:
        assert (await why_not(source, queue)).kind is BrokerErrorKind.TIMEOUT
    finally:
        rabbitmq_server.thaw()
    assert await counted_again(source, queue) == 2
    rabbitmq_server.stop()
    try:
        assert (await why_not(source, queue)).kind is BrokerErrorKind.UNREACHABLE
    finally:
        rabbitmq_server.start()
    assert await counted_again(source, queue) == 2


async def counted_again(source: BackendSource, queue: Backend) -> int:
    """The first count that succeeds: a server that was silent rests for some seconds."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await count(source, queue)
            except BrokerError:
                await asyncio.sleep(0.5)


@pytest.mark.fault("security", "a RabbitMQ's host name that turns to the operator's loopback after it was counted")
async def test_a_name_is_resolved_and_checked_anew_for_every_connection(
    rabbitmq_server: RabbitServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = {"turns.example": "127.0.0.1"}  # the one loopback address that counts as another host here
    resolve = socket.getaddrinfo

    def resolved(host: str, *arguments: Any, **more: Any) -> Any:
        return resolve(addresses.get(host, host), *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(checked, "is_local", lambda address: address != "127.0.0.1")
    trap, source = Trap(), BackendSource()
    with trap.listening("127.0.0.2", port=rabbitmq_server.port):
        queue = backend(rabbitmq_server.url.replace("127.0.0.1", "turns.example"), prefix)
        assert await count(source, queue) == 0
        addresses["turns.example"] = "127.0.0.2"
        assert await count(source, queue) == 0  # on the connection that there is
        rabbitmq_server.control("close_all_user_connections", USER, "a test")
        assert (await why_not(source, queue)).kind is BrokerErrorKind.REFUSED
        addresses["turns.example"] = "127.0.0.1"
        assert await count(source, queue) == 0
    source.close()
    assert trap.visits == []


@pytest.mark.fault("security", "URLs of RabbitMQ that lead to the operator's own loopback")
async def test_no_url_leads_to_the_operators_own_pod(prefix: str) -> None:
    trap = Trap()
    with trap.listening("127.0.0.1", "::1") as port:
        for host in ("127.0.0.1", "127.1", "localhost", "[::]", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"):
            for scheme in ("amqp", "amqps"):
                error = await why_not(BackendSource(), backend(f"{scheme}://{host}:{port}/", prefix))
                assert error.kind is BrokerErrorKind.REFUSED, host
    assert trap.visits == []
