"""An empty queue of a real Redis says at once that it is empty no longer, and costs nothing while nothing happens."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from redis import Redis

from pynenc_operator import arrivals
from pynenc_operator.backends import Backend, BackendKind
from pynenc_operator.broker import BackendSource
from pynenc_operator.brokerclients import load_plugins
from pynenc_operator.questions import CountQueue
from tests.integration.operator.tcp_proxy import TcpProxy
from tests.integration.redis_server import RedisServer

# Counted once a test: whatever is told of later, the server has told.
WITHIN = 10.0
KEY = "__pynenc__:{}:broker:default_queue"
# Of an app whose queues were not named: the list and the priorities of `default`, and the names of the others.
KEYS_OF_ONE = 3


@pytest.fixture(autouse=True, scope="module")
def _plugins() -> None:
    load_plugins()


class Told:
    """The queues of which something was told."""

    def __init__(self) -> None:
        self.apps: list[str] = []
        self.source = BackendSource(allow_local=True, on_arrival=lambda backend: self.apps.append(backend.app_id))

    async def count(self, redis: RedisServer, *apps: str) -> list[int]:
        asked = [self.source.ask(Backend(BackendKind.REDIS, redis.url, app), CountQueue()) for app in apps]
        return [count.waiting for count in await asyncio.gather(*asked)]


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    told = Told()
    with contextlib.closing(told.source):
        yield told


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():  # noqa: ASYNC110 - a thread or a server makes it true
            await asyncio.sleep(0.01)


async def until_listened_to(client: Redis, queues: int) -> None:
    """The server keeps their keys, of which it will tell."""
    await until(lambda: client.info("stats")["tracking_total_keys"] == queues * KEYS_OF_ONE)


def heard(told: Told) -> set[bytes]:
    """The keys of which a server will tell; asking `hears` would be a sign of use."""
    [listener] = told.source._arrivals._listeners.values()
    return set(listener._told)


@pytest.fixture
def client(redis: RedisServer) -> Redis:
    client = Redis.from_url(redis.url)
    client.flushall()
    return client


async def test_an_empty_queue_tells_once_of_its_first_entry(told: Told, redis: RedisServer, client: Redis) -> None:
    assert await told.count(redis, "one", "two") == [0, 0]
    await until_listened_to(client, 2)
    client.rpush(KEY.format("one"), "a", "b")
    await until(lambda: bool(told.apps))
    client.rpush(KEY.format("one"), "c")
    await asyncio.sleep(2 * arrivals.LISTEN_SECONDS)
    assert told.apps == ["one"]


async def test_one_that_was_filled_before_it_is_listened_to_tells_too(
    told: Told, redis: RedisServer, client: Redis
) -> None:
    await told.count(redis, "first")
    await until_listened_to(client, 1)
    assert await told.count(redis, "late") == [0]
    client.rpush(KEY.format("late"), "a")
    await until(lambda: told.apps == ["late"])


async def test_a_queue_that_is_not_empty_is_not_listened_to(told: Told, redis: RedisServer, client: Redis) -> None:
    client.rpush(KEY.format("full"), "a")
    assert await told.count(redis, "full", "empty") == [1, 0]
    await until_listened_to(client, 1)
    client.rpush(KEY.format("full"), "b")
    await asyncio.sleep(2 * arrivals.LISTEN_SECONDS)
    assert told.apps == []


async def test_one_that_is_emptied_at_once_tells_no_more_than_once_a_second(
    told: Told, redis: RedisServer, client: Redis
) -> None:
    until_moment = time.monotonic() + 2.5
    began = time.monotonic()
    while time.monotonic() < until_moment:
        client.rpush(KEY.format("busy"), "a")
        client.lpop(KEY.format("busy"))
        assert await told.count(redis, "busy") == [0]
    assert 1 <= len(told.apps) <= 1 + (time.monotonic() - began) / arrivals.QUIET_SECONDS


async def test_nothing_is_asked_while_nothing_happens(told: Told, redis: RedisServer, client: Redis) -> None:
    await told.count(redis, "idle")
    await until_listened_to(client, 1)

    def asked() -> int:
        return int(client.info("stats")["total_commands_processed"])

    before = asked()
    await asyncio.sleep(3 * arrivals.CHECK_SECONDS)
    assert asked() - before <= 4  # the question itself, and whether the server still speaks


async def test_what_was_taken_at_once_is_told_of_again_without_another_count(
    told: Told, redis: RedisServer, client: Redis
) -> None:
    await told.count(redis, "taken")
    await until_listened_to(client, 1)
    client.rpush(KEY.format("taken"), "a")
    client.lpop(KEY.format("taken"))
    await until(lambda: told.apps == ["taken"])
    assert await told.count(redis, "taken") == [0]  # so soon that it is read only later
    await asyncio.sleep(arrivals.QUIET_SECONDS + 2 * arrivals.LISTEN_SECONDS)
    client.rpush(KEY.format("taken"), "b")
    await until(lambda: told.apps == ["taken", "taken"])


async def test_a_connection_that_was_forgotten_on_the_way_is_noticed(
    told: Told, redis: RedisServer, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "CHECK_SECONDS", 0.3)
    async with TcpProxy("127.0.0.1", redis.port) as proxy:
        backend = Backend(BackendKind.REDIS, f"redis://127.0.0.1:{proxy.port}/0", "forgotten")
        assert (await told.source.ask(backend, CountQueue())).waiting == 0
        await until_listened_to(client, 1)
        proxy.swallow_open_connections()
        client.rpush(KEY.format("forgotten"), "a")
        await until(lambda: "forgotten" in told.apps)


async def test_after_an_outage_it_listens_again(told: Told, tmp_path: Path) -> None:
    with RedisServer.running(tmp_path) as redis:
        await told.count(redis, "back")
        await until_listened_to(Redis.from_url(redis.url), 1)
        redis.stop()
        await until(lambda: told.apps == ["back"])  # whoever relied on it
        assert not told.source.hears(Backend(BackendKind.REDIS, redis.url, "back"))
        redis.start()
        told.apps.clear()
        client = Redis.from_url(redis.url)
        async with asyncio.timeout(20):
            while client.info("stats")["tracking_total_keys"] == 0:
                await told.count(redis, "back")
                await asyncio.sleep(0.2)
        client.rpush(KEY.format("back"), "a")
        await until(lambda: told.apps == ["back"])


async def test_a_user_who_may_not_listen_is_counted_all_the_same(
    told: Told, redis: RedisServer, client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    client.acl_setuser(
        "limited", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-client|tracking"]
    )
    limited = Backend(BackendKind.REDIS, redis.url.replace("redis://", "redis://limited:secret@"), "limited")
    assert (await told.source.ask(limited, CountQueue())).waiting == 0
    await until(lambda: "can't tell of arrivals (NoPermissionError)" in caplog.text)
    assert "secret" not in caplog.text
    client.rpush(KEY.format("limited"), "a")
    assert (await told.source.ask(limited, CountQueue())).waiting == 1
    client.acl_deluser("limited")


async def test_a_key_that_may_be_read_no_longer_takes_nobody_else_s_news(
    told: Told, redis: RedisServer, client: Redis
) -> None:
    client.acl_setuser("some", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all"])
    url = redis.url.replace("redis://", "redis://some:secret@")
    denied, allowed = (Backend(BackendKind.REDIS, url, app) for app in ("denied", "allowed"))
    for backend in (denied, allowed):
        await told.source.ask(backend, CountQueue())
    await until_listened_to(client, 2)
    redis.command("ACL", "SETUSER", "some", "resetkeys", f"~{KEY.format('allowed').removesuffix('default_queue')}*")
    await until(lambda: told.apps == ["denied"])  # by the next look whether the server is still there
    assert not told.source.hears(denied)
    client.rpush(KEY.format("allowed"), "a")
    await until(lambda: told.apps == ["denied", "allowed"])
    client.acl_deluser("some")


async def test_a_queue_that_nobody_asks_about_any_more_is_let_go_of(
    told: Told, redis: RedisServer, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "UNUSED_SECONDS", 2.5)
    kept = Backend(BackendKind.REDIS, redis.url, "kept")
    assert await told.count(redis, "gone", "kept") == [0, 0]
    await until_listened_to(client, 2)
    await until(lambda: not told.source.hears(kept) or len(heard(told)) == KEYS_OF_ONE)
    prefix = KEY.format("kept").removesuffix("default_queue").encode()
    assert all(key.startswith(prefix) for key in heard(told))


async def test_only_so_many_servers_are_listened_to(
    told: Told, redis: RedisServer, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "MOST_LISTENERS", 1)
    assert await told.count(redis, "first") == [0]
    await until_listened_to(client, 1)
    other = Backend(BackendKind.REDIS, redis.url + "?client_name=other", "second")
    assert (await told.source.ask(other, CountQueue())).waiting == 0
    assert not told.source.hears(other)
    assert told.source.hears(Backend(BackendKind.REDIS, redis.url, "first"))


async def test_a_server_that_does_not_know_how_is_asked_once_in_ten_minutes(
    told: Told, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (tmp_path / "other.conf").write_text('rename-command CLIENT ""\n')
    with RedisServer.running(tmp_path, include=str(tmp_path / "other.conf")) as other:
        for _ in range(3):
            assert await told.count(other, "other") == [0]
            await asyncio.sleep(0.5)
    assert caplog.text.count("can't tell of arrivals") == 1


async def test_closing_ends_the_threads_and_their_connections(redis: RedisServer, client: Redis) -> None:
    told = Told()
    await told.count(redis, "closed")
    await until_listened_to(client, 1)
    backend = Backend(BackendKind.REDIS, redis.url, "closed")
    assert told.source.hears(backend)
    told.source.close()
    assert not told.source.hears(backend)

    def listening() -> bool:
        threads = any(thread.name.startswith("listen") for thread in threading.enumerate())
        return threads or client.info("clients")["tracking_clients"] > 0

    await until(lambda: not listening())
    await told.count(redis, "closed")  # a last count, on its way when leadership was lost, begins nothing anew
    assert not listening()
