"""The depths of many queues of one Redis, counted together, and what of one app must not reach another."""

import asyncio
from typing import Any

import pytest

from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.broker import BackendSource
from pynenc_operator.brokerclients import load_plugins
from pynenc_operator.model import QueueMark
from pynenc_operator.questions import STATUSES, CountInvocations, CountQueue, QueueCount
from pynenc_worker import queuekeys
from tests.integration.redis_server import RedisServer

APPS = 100


@pytest.fixture(autouse=True, scope="module")
def _plugins() -> None:
    """As the operator does at its start."""
    load_plugins()


def apps(url: str, count: int = APPS) -> list[Backend]:
    return [Backend(BackendKind.REDIS, url, f"app-{number}") for number in range(count)]


async def count_all(source: BackendSource, backends: list[Backend], question: CountQueue | None = None) -> list[Any]:
    question = question or CountQueue()
    return await asyncio.gather(*(source.ask(backend, question) for backend in backends), return_exceptions=True)


async def make_clients(source: BackendSource, backends: list[Backend]) -> None:
    """Ask each once, so that its client is there; on a machine that has much to do not all are made in time."""
    for backend in backends:
        async with asyncio.timeout(60):
            while isinstance((await count_all(source, [backend]))[0], BrokerError):  # noqa: ASYNC110
                await asyncio.sleep(0.2)


async def queue_of(source: BackendSource, backend: Backend) -> str:
    """The name of an app's queue in Redis."""

    def name(broker: Any, _backend: Backend) -> str:
        return str(broker.key.default_queue())

    return await source.ask(backend, name)


async def test_the_queues_of_a_server_cost_one_round_trip(redis: RedisServer) -> None:
    source = BackendSource(allow_local=True)
    backends = apps(redis.url)
    await make_clients(source, backends)
    for number, backend in enumerate(backends[:3]):
        redis.command("RPUSH", await queue_of(source, backend), *(f"entry-{n}" for n in range(number + 1)))
    before, read = redis.calls(), redis.reads()
    counts = await count_all(source, backends)
    after = redis.calls()
    assert [count.waiting for count in counts] == [1, 2, 3, *[0] * (APPS - 3)]
    newest = [mark.newest for count in counts[:4] for mark in count.marks]
    assert newest == ["entry-0", "entry-1", "entry-2", None]
    new = {name: after[name] - before.get(name, 0) for name in ("multi", "exec", "llen", "lindex")}
    assert set(new.values()) == {APPS}
    assert redis.reads() - read <= 20  # of 41 kB, and those of asking


async def test_invocations_are_counted_by_status_in_the_round_trip_of_the_queues(redis: RedisServer) -> None:
    source = BackendSource(allow_local=True)
    backends = apps(redis.url, 20)
    await make_clients(source, backends)
    running = (await queue_of(source, backends[0])).replace("broker:default_queue", "orchestrator:status:running")
    redis.command("SADD", running, "one", "two")
    before, read = redis.calls(), redis.reads()
    questions: tuple[CountQueue | CountInvocations, ...] = (CountQueue(), CountInvocations(STATUSES))
    both = [(backend, question) for backend in backends for question in questions]
    answers = await asyncio.gather(*(source.ask(*each) for each in both))
    none = dict.fromkeys(STATUSES, 0)
    assert answers[1::2] == [none | {"running": 2}, *[none] * 19]
    assert [answer.waiting for answer in answers[::2]] == [0] * 20  # type: ignore[union-attr]
    after = redis.calls()
    assert after["scard"] - before.get("scard", 0) == 20 * len(STATUSES)
    assert redis.reads() - read <= 20  # of 22 kB, those of asking, and of hearing of arrivals


async def test_states_that_may_not_be_read_are_no_error_of_the_queue(redis: RedisServer) -> None:
    owner = BackendSource(allow_local=True)
    [queue] = [await queue_of(owner, backend) for backend in apps(redis.url, 1)]
    redis.command("ACL", "SETUSER", "guest", "on", ">secret", "+@all", f"~{queue.removesuffix('default_queue')}*")
    [backend] = apps(redis.url.replace("redis://", "redis://guest:secret@"), 1)
    source = BackendSource(allow_local=True)
    await make_clients(source, [backend])
    asked = source.ask(backend, CountQueue()), source.ask(backend, CountInvocations(STATUSES))
    counted, refused = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(counted, QueueCount)
    assert isinstance(refused, BrokerError)
    assert refused.kind is BrokerErrorKind.AUTHENTICATION


async def test_each_is_told_what_has_stayed_of_its_own_queue(redis: RedisServer) -> None:
    source = BackendSource(allow_local=True)
    backends = apps(redis.url, 3)
    await make_clients(source, backends)
    names = [await queue_of(source, backend) for backend in backends]
    for name in names:
        redis.command("RPUSH", name, "old", "newest")
    redis.command("LPOP", names[1])
    redis.command("DEL", names[2])
    question = CountQueue((QueueMark("default", "newest", 2),))
    counts = await asyncio.gather(*(source.ask(backend, question) for backend in backends))
    assert [(count.waiting, count.stayed) for count in counts] == [(2, 2), (1, 1), (0, 0)]


async def test_a_key_of_another_type_is_one_app_s_error(redis: RedisServer) -> None:
    source = BackendSource(allow_local=True)
    backends = apps(redis.url, 5)
    await make_clients(source, backends)
    redis.command("SET", await queue_of(source, backends[2]), "no-list")
    counts = await count_all(source, backends)
    assert isinstance(counts.pop(2), BrokerError)
    assert [count.waiting for count in counts] == [0] * 4


async def test_an_app_whose_keys_are_denied_is_one_app_s_error(redis: RedisServer) -> None:
    """An ACL refuses a command when it is queued, and with it the whole transaction."""
    owner = BackendSource(allow_local=True)
    names = [await queue_of(owner, backend) for backend in apps(redis.url, 20)]
    allowed = [f"~{name.removesuffix('default_queue')}*" for name in names[1:]]
    redis.command("ACL", "SETUSER", "guest", "on", ">secret", "+@all", *allowed)
    backends = apps(redis.url.replace("redis://", "redis://guest:secret@"), 20)
    source = BackendSource(allow_local=True)
    for backend in backends:
        await queue_of(source, backend)  # makes its client, and asks nothing
    counts = await count_all(source, backends)
    assert isinstance(counts[0], BrokerError)
    assert counts[0].kind is BrokerErrorKind.AUTHENTICATION
    assert [count.waiting for count in counts[1:]] == [0] * 19
    redis.command("ACL", "SETUSER", "guest", "allkeys")
    assert [count.waiting for count in await count_all(source, backends)] == [0] * 20


async def test_an_entry_that_is_no_text_is_counted_and_found_again(redis: RedisServer) -> None:
    source = BackendSource(allow_local=True)
    backends = apps(redis.url, 3)
    await make_clients(source, backends)
    redis.command("RPUSH", await queue_of(source, backends[1]), "old", r'"\xff\xfe"')
    counts = await count_all(source, backends)
    assert [count.waiting for count in counts] == [0, 2, 0]
    assert await source.ask(backends[1], CountQueue(counts[1].marks)) == QueueCount(2, counts[1].marks, 2)


async def test_a_queue_s_name_that_is_no_text_is_one_app_s_error(redis: RedisServer) -> None:
    source = BackendSource(allow_local=True)
    backends = apps(redis.url, 3)
    await make_clients(source, backends)
    prefix = (await queue_of(source, backends[1])).removesuffix("default_queue")
    redis.command("SADD", queuekeys.names(prefix), r'"\xff\xfe"')
    for _ in range(2):  # it is in no later count's commands either
        counts = await count_all(source, backends)
        assert isinstance(counts.pop(1), BrokerError)
        assert [count.waiting for count in counts] == [0, 0]


async def test_all_of_them_hear_that_the_server_is_gone_and_that_it_is_back(redis: RedisServer) -> None:
    source = BackendSource(allow_local=True)
    backends = apps(redis.url, 30)
    await make_clients(source, backends)
    redis.stop()
    assert {type(count) for count in await count_all(source, backends)} == {BrokerError}
    redis.start()
    async with asyncio.timeout(20):
        while any(isinstance(count, BrokerError) for count in await count_all(source, backends)):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
