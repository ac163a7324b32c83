"""Counting that goes wrong before a server is asked, and what clients of one URL share."""

import logging
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from pynenc_redis.util import mongo_client

from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.broker import BackendSource
from pynenc_operator.brokerclients import UNUSED_SECONDS, BrokerClients
from pynenc_operator.redisconnection import IdleConnections
from tests.unit.operator.builders import Time

URL = "redis://redis.shop.svc:6379"
WAYS = ("?socket_timeout=5", "")  # which is ours to say
BACKEND = Backend(BackendKind.REDIS, URL, "reports")


class Pool:
    def __init__(self) -> None:
        self.disconnected = threading.Event()

    def disconnect(self, *, inuse_connections: bool) -> None:
        assert not inuse_connections
        assert not self.disconnected.is_set()
        self.disconnected.set()


class Broker:
    def count_invocations(self) -> int:
        return 7


def count(broker: Any, backend: Backend) -> int:  # noqa: ARG001
    """The simplest question."""
    return int(broker.count_invocations())


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> dict[str, Pool]:
    """The plugin's pools, by URL."""
    pools: dict[str, Pool] = {}

    def connect(clients: BrokerClients, backend: Backend) -> Broker:
        pool: Any = pools.setdefault(backend.url, Pool())
        clients._shared(backend, lambda: IdleConnections(pool, backend.url))
        return Broker()

    monkeypatch.setattr(BrokerClients, "_connect", connect)
    return pools


@pytest.mark.usefixtures("pools")
async def test_a_thread_that_can_not_start_fails_one_count(monkeypatch: pytest.MonkeyPatch) -> None:
    source = BackendSource()

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        for _ in range(20):  # more than there are places
            with pytest.raises(BrokerError, match=r"can't start new thread.*limit") as caught:
                await source.ask(BACKEND, count)
            assert caught.value.kind is BrokerErrorKind.OVERLOADED
    assert await source.ask(BACKEND, count) == 7


async def test_what_is_unused_is_disconnected_unless_another_app_of_the_url_uses_it(
    pools: dict[str, Pool], time: Time
) -> None:
    source = BackendSource(monotonic=time)
    used, elsewhere = Backend(BackendKind.REDIS, URL, "orders"), Backend(BackendKind.REDIS, URL + "/1", "orders")
    for backend in (BACKEND, used, elsewhere):
        await source.ask(backend, count)
    time.now += 590
    await source.ask(used, count)
    time.now += 20
    await source.ask(used, count)
    assert pools[URL + "/1"].disconnected.wait(10)
    assert not pools[URL].disconnected.is_set()  # which would have come first

    time.now += 620
    await source.ask(Backend(BackendKind.REDIS, URL + "/2", "orders"), count)
    assert pools[URL].disconnected.wait(10)


def until_known(pools: dict[str, Any]) -> None:
    """Wait until the plugin knows these pools alone: others are closed in threads."""
    deadline = time.monotonic() + 10
    while pools != mongo_client._REDIS_POOLS:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_password_that_is_changed_again_and_again_leaves_nothing_behind() -> None:
    before = dict(mongo_client._REDIS_POOLS)
    clients = BrokerClients(allow_local=True, connections=2)
    for number in range(20):
        at = number * 2 * UNUSED_SECONDS
        clients.broker(Backend(BackendKind.REDIS, f"redis://:{number}@redis.shop.svc:6379", "rotated"), at)
        clients.evict(at, set())
    assert len(logging.getLogger("pynenc.rotated").filters) == 1
    clients.close()
    until_known(before)


def test_two_ways_to_write_a_url_leave_nothing_behind_either() -> None:
    before = dict(mongo_client._REDIS_POOLS)
    clients = BrokerClients(allow_local=True, connections=2)
    one, other = (Backend(BackendKind.REDIS, f"redis://redis.shop.svc:6379{query}", "a") for query in WAYS)
    clients.broker(one, 0)
    clients.broker(other, 2 * UNUSED_SECONDS)
    clients.evict(2 * UNUSED_SECONDS, set())
    until_known(before)
    clients.broker(replace(other, app_id="b"), 2 * UNUSED_SECONDS)
    assert len(mongo_client._REDIS_POOLS) == len(before) + 1
    clients.close()
    until_known(before)


def test_a_server_is_the_same_for_all_its_apps_users_and_databases_and_tells_no_password() -> None:
    def server(url: str, kind: BackendKind = BackendKind.REDIS) -> str:
        return Backend(kind, url, "reports").server

    assert server("redis://:secret@Redis.shop:6379/0?protocol=3") == server("redis://u:x@redis.shop:6379/1")
    assert server("redis://redis.shop:6379") != server("redis://redis.shop:6380")
    assert server("redis://redis.shop:6379") != server("rediss://redis.shop:6379")
    assert server("/data/shop/a.db", BackendKind.SQLITE) != server("/data/shop/b.db", BackendKind.SQLITE)
    assert "secret" not in server("redis://:secret@redis:no-port") + server("redis://:secret@redis")
