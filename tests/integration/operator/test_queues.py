"""Named queues and priorities in Redis: counted in one round trip, told of at once, and what of them has stayed.

They are filled by their keys here; tests/integration/worker/test_matrix.py has the same counts beside pynenc 0.4's own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from redis import Redis

from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.broker import BackendSource
from pynenc_operator.brokerclients import load_plugins
from pynenc_operator.model import QueueMark
from pynenc_operator.questions import CountQueue, OldestEntry, QueueCount
from pynenc_operator.redisqueues import MOST_READ
from pynenc_worker import queuekeys
from tests.integration.redis_server import RedisServer

PREFIX = "__pynenc__:shop:broker:"
WITHIN = 5.0


@pytest.fixture(autouse=True, scope="module")
def _plugins() -> None:
    load_plugins()


class Shop:
    """An app's queues, filled as the worker's package fills them."""

    def __init__(self, client: Redis) -> None:
        self.client = client

    def put(self, queue: str, *ids: str, priority: float = 0.0) -> None:
        if queue != queuekeys.DEFAULT:
            self.client.sadd(queuekeys.names(PREFIX), queue)
        if not priority:
            self.client.rpush(queuekeys.listed(PREFIX, queue), *ids)
        for one in ids if priority else ():
            number = self.client.incr(queuekeys.sequence(PREFIX, queue))
            self.client.zadd(queuekeys.prioritized(PREFIX, queue), {f"{number:016d}:{one}": -priority})


@pytest.fixture
def shop(redis: RedisServer) -> Iterator[Shop]:
    client = Redis.from_url(redis.url)
    client.flushall()
    yield Shop(client)
    client.close()


@pytest.fixture
async def told() -> list[tuple[str, ...]]:
    """The queues of the backends of which something was told."""
    return []


@pytest.fixture
async def source(told: list[tuple[str, ...]]) -> AsyncIterator[BackendSource]:
    source = BackendSource(allow_local=True, on_arrival=lambda backend: told.append(backend.queues), deadline=30.0)
    with contextlib.closing(source):
        yield source


def backend(redis: RedisServer, *queues: str) -> Backend:
    return Backend(BackendKind.REDIS, redis.url, "shop", queues)


async def count(source: BackendSource, redis: RedisServer, *queues: str, since: QueueCount | None = None) -> QueueCount:
    return await source.ask(backend(redis, *queues), CountQueue(since.marks if since else ()))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():  # noqa: ASYNC110 - a thread or a server makes it true
            await asyncio.sleep(0.01)


async def test_queues_are_counted_with_what_has_a_priority(
    source: BackendSource, redis: RedisServer, shop: Shop
) -> None:
    shop.put("default", "a", "b")
    shop.put("gpu", "c", "d", "e")
    shop.put("gpu", "f", priority=3.0)
    shop.put("mail", "g", priority=-1.0)
    counts = {queues: (await count(source, redis, *queues)).waiting for queues in [("gpu",), ("gpu", "mail"), ()]}
    assert counts == {("gpu",): 4, ("gpu", "mail"): 5, (): 7}


async def test_all_queues_of_all_runners_cost_one_round_trip(
    source: BackendSource, redis: RedisServer, shop: Shop
) -> None:
    shop.put("gpu", "a")
    runners = [(), ("gpu",), ("gpu", "mail")]
    known = [await count(source, redis, *queues) for queues in runners]
    before, read = redis.calls(), redis.reads()
    counts = await asyncio.gather(
        *(count(source, redis, *queues, since=seen) for queues, seen in zip(runners, known, strict=True))
    )
    assert redis.reads() - read <= 3  # theirs together, and those of asking this
    after = redis.calls()
    assert [seen.waiting for seen in counts] == [1, 1, 1]
    assert {name: after[name] - before.get(name, 0) for name in ("multi", "exec", "srandmember")} == {
        "multi": 3,
        "exec": 3,
        "srandmember": 1,  # where no queues are named, their names
    }


async def test_a_queue_that_comes_into_use_is_in_the_very_next_count(
    source: BackendSource, redis: RedisServer, shop: Shop
) -> None:
    before = await count(source, redis)
    shop.put("gpu", "a")
    shop.put("mail", "b", priority=1.0)
    after = await count(source, redis, since=before)
    assert (after.waiting, after.stayed) == (2, 0)
    again = await count(source, redis, since=after)
    assert (again.waiting, again.stayed) == (2, 2)


async def test_what_has_stayed_is_known_of_each_queue(source: BackendSource, redis: RedisServer, shop: Shop) -> None:
    shop.put("default", "a", "b")
    shop.put("gpu", "c", "d")
    shop.put("gpu", "e", "f", priority=2.0)
    before = await count(source, redis, "default", "gpu")
    assert before.marks == (QueueMark("default", "b", 2), QueueMark("gpu", "d", 2, 2, 2))
    shop.client.delete(queuekeys.listed(PREFIX, "default"))
    shop.put("default", "g", "h", "i")
    shop.client.lpop(queuekeys.listed(PREFIX, "gpu"))
    shop.client.zpopmin(queuekeys.prioritized(PREFIX, "gpu"))
    shop.put("gpu", "j", "k", priority=3.0)  # before those that were there
    after = await count(source, redis, "default", "gpu", since=before)
    assert (after.waiting, after.stayed) == (7, 2)  # d and f


async def test_of_many_with_a_priority_as_many_have_stayed_as_could(
    source: BackendSource, redis: RedisServer, shop: Shop
) -> None:
    shop.put("gpu", *(str(number) for number in range(MOST_READ + 10)), priority=1.0)
    before = await count(source, redis, "gpu")
    shop.client.zpopmin(queuekeys.prioritized(PREFIX, "gpu"), 20)
    after = await count(source, redis, "gpu", since=before)
    assert (after.waiting, after.stayed) == (MOST_READ - 10, MOST_READ - 10)
    again = await count(source, redis, "gpu", since=after)
    shop.client.delete(queuekeys.prioritized(PREFIX, "gpu"))
    shop.put("gpu", "new", priority=1.0)
    assert ((await count(source, redis, "gpu", since=again)).stayed, again.stayed) == (0, MOST_READ - 10)


async def test_an_app_with_a_queue_for_each_customer_has_to_name_those_that_count(
    source: BackendSource, redis: RedisServer, shop: Shop
) -> None:
    for number in range(queuekeys.MOST_QUEUES):
        shop.put(f"customer-{number}", "a")
    assert (await count(source, redis)).waiting == queuekeys.MOST_QUEUES
    shop.put("one-more", "a")
    with pytest.raises(BrokerError, match="more than 64 queues: name those that count") as caught:
        await count(source, redis)
    assert caught.value.kind is BrokerErrorKind.UNSUPPORTED
    with pytest.raises(BrokerError, match="more than 64 queues"):
        await source.ask(backend(redis), OldestEntry())
    assert "cmdstat_smembers" not in shop.client.info("commandstats")  # which would hand out all names
    assert (await count(source, redis, "one-more")).waiting == 1


async def test_the_oldest_head_of_all_queues_is_found(source: BackendSource, redis: RedisServer, shop: Shop) -> None:
    shop.put("default", "young")
    shop.put("gpu", "middle")
    shop.put("mail", "old", priority=-5.0)
    for name, second in (("young", 30), ("middle", 20), ("old", 10)):
        key = f"__pynenc__:shop:orchestrator:invocation_status:{name}"
        shop.client.set(key, f'{{"timestamp": "1970-01-01T00:00:{second}+00:00"}}')
    asked = [await source.ask(backend(redis, *queues), OldestEntry()) for queues in [(), ("default", "gpu"), ("none",)]]
    assert asked == [10.0, 20.0, None]


async def listened_to(shop: Shop, keys: int) -> None:
    await until(lambda: shop.client.info("stats")["tracking_total_keys"] == keys)


@pytest.mark.parametrize("priority", [0.0, 1.0])
async def test_an_empty_queue_that_is_named_tells_of_its_first_entry(
    source: BackendSource, redis: RedisServer, shop: Shop, told: list[tuple[str, ...]], priority: float
) -> None:
    await count(source, redis, "gpu", "mail")
    await listened_to(shop, 4)
    await until(lambda: source.hears(backend(redis, "gpu", "mail")))
    shop.put("default", "a")
    shop.put("mail", "b", priority=priority)
    await until(lambda: bool(told))
    assert told == [("gpu", "mail")]


async def test_a_queue_that_two_runners_serve_tells_both(
    source: BackendSource, redis: RedisServer, shop: Shop, told: list[tuple[str, ...]]
) -> None:
    await count(source, redis, "gpu")
    await count(source, redis, "gpu", "mail")
    await listened_to(shop, 4)
    shop.put("gpu", "a")
    await until(lambda: sorted(told) == [("gpu",), ("gpu", "mail")])


async def test_a_queue_that_comes_into_use_tells_where_none_is_named(
    source: BackendSource, redis: RedisServer, shop: Shop, told: list[tuple[str, ...]]
) -> None:
    seen = await count(source, redis)
    await listened_to(shop, 3)
    shop.put("gpu", "a")
    await until(lambda: told == [()])
    shop.client.delete(queuekeys.listed(PREFIX, "gpu"))
    seen = await count(source, redis, since=seen)
    assert seen.waiting == 0
    await until(lambda: source.hears(backend(redis)))  # of the queue that is known now, too
    shop.put("gpu", "b")
    await until(lambda: told == [(), ()])


async def test_queues_whose_names_are_lost_are_waited_for_no_more(
    source: BackendSource, redis: RedisServer, shop: Shop, told: list[tuple[str, ...]]
) -> None:
    shop.put("gpu", "a")
    seen = await count(source, redis)
    assert {mark.queue for mark in seen.marks} == {"default", "gpu"}
    shop.client.flushall()
    seen = await count(source, redis, since=seen)
    assert {mark.queue for mark in seen.marks} == {"default"}
    seen = await count(source, redis, since=seen)
    await until(lambda: source.hears(backend(redis)))
    told.clear()
    await count(source, redis, since=seen)
    await asyncio.sleep(1)
    assert not told
    assert source.hears(backend(redis))
