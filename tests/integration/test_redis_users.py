"""docs/backends.md's user of Redis on a real server: what the operator needs of it, all of it and nothing else."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from pynenc_operator.backends import Backend, BackendKind, BrokerError
from pynenc_operator.broker import BackendSource
from pynenc_operator.brokerclients import load_plugins
from pynenc_operator.model import QueueMark
from pynenc_operator.questions import HELD, CountInvocations, CountQueue, OldestEntry, ReadHeartbeats
from pynenc_worker import queuekeys
from tests.integration import redis_users
from tests.integration.redis_server import RedisServer

PREFIX = f"__pynenc__:{redis_users.APP_ID}:"
BROKER, ORCHESTRATOR = f"{PREFIX}broker:", f"{PREFIX}orchestrator:"
GROUPS = [rule for rule in redis_users.groups() if rule != "+@transaction"]
WITHIN = 10.0


@pytest.fixture(autouse=True, scope="module")
def _plugins() -> None:
    load_plugins()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis with something in two queues of the app, in each way that can be asked for."""
    with RedisServer.running(tmp_path) as server:
        with redis.Redis.from_url(server.url) as client:
            client.rpush(queuekeys.listed(BROKER, "default"), "one", "two")
            client.sadd(queuekeys.names(BROKER), "gpu")
            client.zadd(queuekeys.prioritized(BROKER, "gpu"), {"0000000000000001:three": -1.0})
            for name in ("one", "three"):
                client.set(f"{ORCHESTRATOR}invocation_status:{name}", '{"timestamp": "1970-01-01T00:00:10+00:00"}')
            client.zadd(f"{ORCHESTRATOR}runner_heartbeats", {"runner": 1.0})
            client.hset(f"{ORCHESTRATOR}runner_heartbeat:runner", "last_heartbeat", "7.0")
            client.sadd(f"{ORCHESTRATOR}status:running", "four")
        yield server


@pytest.fixture
def administrator(server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        yield client


def make_operators_user(server: RedisServer, *, without: str = "") -> str:
    """A user that may call what the page says of the operator, and read what it says; its URL."""
    name = f"without-{without.lower()}" if without else "operator"
    keys = [f"%R~{BROKER}*", f"%R~{ORCHESTRATOR}*"]
    allowed = [f"+{command.lower()}" for command in redis_users.operators() - {without}]
    return redis_users.make(server, name, ["on", f">{redis_users.PASSWORD}", "resetchannels", *keys, *GROUPS, *allowed])


async def ask_everything(url: str, administrator: redis.Redis) -> list[Any]:
    """The answers to all that the operator asks of a Redis, an error in place of one."""
    every, empty = (Backend(BackendKind.REDIS, url, redis_users.APP_ID, queues) for queues in [(), ("empty",)])
    questions = (CountQueue((QueueMark("default", "one", 1),)), OldestEntry(), CountInvocations(HELD), ReadHeartbeats())
    answers: list[Any] = []
    with contextlib.closing(BackendSource(allow_local=True, deadline=30.0)) as source:
        for backend, question in (*((every, question) for question in questions), (empty, CountQueue())):
            try:
                answers.append(await source.ask(backend, question))
            except BrokerError as error:
                answers.append(error)
        async with asyncio.timeout(WITHIN):
            while not source.hears(empty) and not administrator.acl_log():  # noqa: ASYNC110 - a thread or a server
                await asyncio.sleep(0.01)
        answers.append(source.hears(empty))
    return answers


async def test_the_operator_needs_no_more_than_the_page_says(server: RedisServer, administrator: redis.Redis) -> None:
    count, oldest, held, [beat], empty, hears = await ask_everything(make_operators_user(server), administrator)
    assert (count.waiting, count.stayed, oldest, sum(held.values()), beat.last) == (3, 1, 10.0, 1, 7.0)
    assert (empty.waiting, hears) == (0, True)
    assert administrator.acl_log() == []


async def test_the_operator_needs_all_that_the_page_says(server: RedisServer, administrator: redis.Redis) -> None:
    refused = {}
    for command in sorted(redis_users.operators()):
        administrator.acl_log_reset()
        await ask_everything(make_operators_user(server, without=command), administrator)
        refused[command] = {str(entry["object"]).upper() for entry in administrator.acl_log()}
    assert refused
    assert {command for command, denied in refused.items() if command not in denied} == set()
