"""Counting on servers that answer and servers that do not, over real sockets."""

import asyncio
import contextlib
import time
from typing import Any

import pytest

from pynenc_operator.app import WORKERS
from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.broker import BackendSource
from pynenc_operator.brokerclients import load_plugins
from pynenc_operator.workqueue import WorkQueue
from tests.integration.operator.tcp_proxy import TcpProxy
from tests.integration.redis_server import RedisServer

POLL_SECONDS = 1.0


def count(broker: Any, backend: Backend) -> int:  # noqa: ARG001
    """The simplest question."""
    return int(broker.count_invocations())


@pytest.fixture(autouse=True, scope="module")
def _plugins() -> None:
    """As the operator does at its start."""
    load_plugins()


async def test_fifty_runners_of_a_dead_server_do_not_delay_one_of_a_good_one(
    redis: RedisServer, black_hole: str
) -> None:
    outcomes: dict[str, list[str]] = {}
    counted: list[float] = []
    source = BackendSource(allow_local=True)
    # Their databases differ too: it is the server that does not answer.
    dead = [Backend(BackendKind.REDIS, f"{black_hole}/{n % 4}", f"dead-{n}") for n in range(50)]
    good = Backend(BackendKind.REDIS, redis.url, "good")

    async def look(backend: Backend) -> float:
        try:
            await source.ask(backend, count)
            outcome = "counted"
            counted.append(time.monotonic())
        except BrokerError as error:
            outcome = str(error.kind)
        outcomes.setdefault(backend.app_id, []).append(outcome)
        return POLL_SECONDS

    queue = WorkQueue(look, workers=WORKERS, expected=BrokerError)
    began = time.monotonic()
    for backend in (*dead, good):
        queue.add(backend)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(15):
            await queue.run()

    assert set(outcomes.pop("good")) == {"counted"}
    assert {kind for kinds in outcomes.values() for kind in kinds} == {BrokerErrorKind.TIMEOUT}
    late = [after - before - POLL_SECONDS for before, after in zip([began - 1, *counted], counted, strict=False)]
    assert max(late) < 1.0, late
    assert min(len(kinds) for kinds in outcomes.values()) >= 10  # they are told so at every look


async def test_a_dead_server_costs_one_deadline_in_each_rest(black_hole: str) -> None:
    waits: list[float] = []
    source = BackendSource(allow_local=True, on_poll=lambda _backend, _outcome, seconds: waits.append(seconds))
    backends = [Backend(BackendKind.REDIS, black_hole, f"dead-{n}") for n in range(20)]

    async def count_all() -> None:
        results = await asyncio.gather(*(source.ask(backend, count) for backend in backends), return_exceptions=True)
        assert all(isinstance(result, BrokerError) for result in results)

    await count_all()
    assert len(waits) == 20
    assert max(waits) < 2.5
    for _ in range(2):
        waits.clear()
        await count_all()
        assert max(waits) < 0.1  # it rests
        await asyncio.sleep(5.2)
        waits.clear()
        await count_all()
        assert sorted(wait > 1.5 for wait in waits) == [False] * 19 + [True]


async def test_all_runners_of_a_server_are_counted_again_soon_after_it_answers(redis: RedisServer) -> None:
    source = BackendSource(allow_local=True)
    async with TcpProxy("127.0.0.1", redis.port) as proxy:
        backends = [Backend(BackendKind.REDIS, f"redis://127.0.0.1:{proxy.port}", f"app-{n}") for n in range(30)]

        async def counted() -> list[int | BaseException]:
            return await asyncio.gather(*(source.ask(backend, count) for backend in backends), return_exceptions=True)

        assert await counted() == [0] * 30  # more at a time than there are places
        proxy.vanish()
        assert all(isinstance(result, BrokerError) for result in await counted())
        proxy.appear()
        deadline = time.monotonic() + 12
        while await counted() != [0] * 30:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.5)
