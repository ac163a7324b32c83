"""A real Redis that tells of queues at rest, and one that does not."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from pynenc_operator.backends import Backend, BackendKind
from pynenc_operator.brokerclients import BrokerClients, load_plugins
from pynenc_operator.model import Key
from pynenc_operator.queuenews import QueueNews
from tests.integration.operator.tcp_proxy import TcpProxy
from tests.integration.redis_server import RedisServer


@pytest.fixture(autouse=True, scope="module")
def _plugins() -> None:
    load_plugins()


class Listening:
    """Runners that wait for what comes into their queues."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.news = QueueNews(lambda key: self.told.append(key.name))
        self._clients = BrokerClients(allow_local=True, connections=8)

    def wait(self, name: str, url: str) -> bool:
        broker = self._clients.broker(Backend(BackendKind.REDIS, url, name), 0.0)
        return self.news.await_entry(Key("shop", name), url, broker)

    def queue(self, name: str, url: str) -> str:
        return str(self._clients.broker(Backend(BackendKind.REDIS, url, name), 0.0).key.default_queue())

    async def until_waiting(self, name: str, url: str) -> None:
        await until(lambda: self.wait(name, url))
        await asyncio.sleep(0.1)  # for the queue to be read

    async def until_told(self, *names: str) -> None:
        await until(lambda: sorted(self.told) == sorted(names))
        self.told.clear()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture
async def listening() -> AsyncIterator[Listening]:
    listening = Listening()
    yield listening
    listening.news.close()


async def test_a_runner_is_told_of_once_and_no_other(redis: RedisServer, listening: Listening) -> None:
    for name in ("reports", "orders"):
        await listening.until_waiting(name, redis.url)
    queue = listening.queue("reports", redis.url)
    redis.command("RPUSH", queue, "entry")
    await listening.until_told("reports")
    redis.command("RPUSH", queue, "entry")
    await asyncio.sleep(0.3)
    assert listening.told == []
    redis.command("DEL", queue)
    assert listening.wait("reports", redis.url)
    await asyncio.sleep(0.1)
    redis.command("RPUSH", queue, "entry")
    await listening.until_told("reports")


async def test_what_came_before_the_server_was_asked_is_told(redis: RedisServer, listening: Listening) -> None:
    await listening.until_waiting("orders", redis.url)
    redis.command("RPUSH", listening.queue("reports", redis.url), "entry")
    assert listening.wait("reports", redis.url)
    await listening.until_told("reports")


async def test_all_are_told_when_the_server_ends_or_is_emptied(redis: RedisServer, listening: Listening) -> None:
    for name in ("reports", "orders"):
        await listening.until_waiting(name, redis.url)
    redis.command("FLUSHALL")
    await listening.until_told("reports", "orders")
    for name in ("reports", "orders"):
        await listening.until_waiting(name, redis.url)
    redis.stop()
    await listening.until_told("reports", "orders")
    assert not listening.wait("reports", redis.url)
    redis.start()
    await listening.until_waiting("reports", redis.url)  # it is tried again


async def test_all_are_told_when_the_server_keeps_silent(redis: RedisServer, listening: Listening) -> None:
    async with TcpProxy("127.0.0.1", redis.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        await listening.until_waiting("reports", url)
        proxy.vanish()
        await listening.until_told("reports")
        assert not listening.wait("reports", url)


async def test_nobody_waits_where_the_server_may_not_tell(redis: RedisServer, listening: Listening) -> None:
    redis.command("ACL", "SETUSER", "guest", "on", ">secret", "~*", "+@all", "-client|tracking")
    denied = redis.url.replace("redis://", "redis://guest:secret@")
    older = redis.url + "?protocol=2"
    for _ in range(20):
        assert not listening.wait("reports", denied)
        assert not listening.wait("reports", older)
        await asyncio.sleep(0.02)
    assert listening.told == []


async def test_a_queue_that_may_not_be_read_is_left_to_its_runner(redis: RedisServer, listening: Listening) -> None:
    await listening.until_waiting("orders", redis.url)
    redis.command("SET", listening.queue("reports", redis.url), "no-list")
    assert listening.wait("reports", redis.url)
    await listening.until_told("reports")
    assert not listening.wait("reports", redis.url)
    assert listening.wait("orders", redis.url)


async def test_a_server_without_runners_is_left(redis: RedisServer, listening: Listening) -> None:
    for name in ("reports", "orders"):
        await listening.until_waiting(name, redis.url)
    listening.news.forget(Key("shop", "reports"))
    redis.command("RPUSH", listening.queue("reports", redis.url), "entry")
    redis.command("RPUSH", listening.queue("orders", redis.url), "entry")
    await listening.until_told("orders")
    listening.news.forget(Key("shop", "orders"))
    await until(lambda: all(thread.name != "queue news" for thread in threading.enumerate()))
    assert listening.told == []
