"""When an app's invocations are counted by status, and what is known of them meanwhile."""

import asyncio
from contextlib import suppress

import pytest

from pynenc_operator.backends import Backend, BackendKind
from pynenc_operator.invocationcounts import ASK_SECONDS, Counts, InvocationCounts
from pynenc_operator.model import Key
from pynenc_operator.questions import STATUSES, CountInvocations
from tests.unit.operator.builders import Time

KEY = Key("shop", "reports")
REDIS = Backend(BackendKind.REDIS, "redis://redis", "reports")


class Asked:
    """A backend that answers what the test says, once the test lets it."""

    def __init__(self) -> None:
        self.answer: Counts | None = {"running": 1}
        self.times = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, key: Key, backend: Backend, question: CountInvocations) -> Counts | None:
        assert (key, question) == (KEY, CountInvocations(STATUSES))
        assert backend.kind in {BackendKind.REDIS, BackendKind.SQLITE}
        self.times += 1
        await self.may_answer.wait()
        return self.answer


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def counts(asked: Asked, time: Time) -> InvocationCounts:
    return InvocationCounts(asked, time)


async def test_they_are_counted_every_30_seconds_however_often_a_runner_is_looked_at(
    asked: Asked, counts: InvocationCounts, time: Time
) -> None:
    assert await counts.latest(KEY) is None
    for _ in range(2):
        counts.begin(KEY, REDIS)
        assert await counts.latest(KEY) == {"running": 1}
    time.now += ASK_SECONDS - 1
    asked.answer = {"running": 2}
    counts.begin(KEY, REDIS)
    assert (await counts.latest(KEY), asked.times) == ({"running": 1}, 1)
    time.now += 1
    counts.begin(KEY, REDIS)
    assert (await counts.latest(KEY), asked.times) == ({"running": 2}, 2)


async def test_where_there_is_no_answer_any_more_the_one_before_does_not_stay(
    asked: Asked, counts: InvocationCounts, time: Time
) -> None:
    counts.begin(KEY, REDIS)
    assert await counts.latest(KEY) == {"running": 1}
    asked.answer = None
    time.now += ASK_SECONDS
    counts.begin(KEY, REDIS)
    assert await counts.latest(KEY) is None


async def test_those_of_another_backend_are_counted_at_once(asked: Asked, counts: InvocationCounts) -> None:
    counts.begin(KEY, REDIS)
    assert await counts.latest(KEY) == {"running": 1}
    asked.answer = {"running": 0}
    counts.begin(KEY, Backend(BackendKind.SQLITE, "/data/shop/pynenc.db", "reports"))
    assert await counts.latest(KEY) == {"running": 0}


async def test_a_backend_that_cannot_tell_cheaply_is_not_asked(asked: Asked, counts: InvocationCounts) -> None:
    counts.begin(KEY, REDIS)
    counts.begin(KEY, Backend(BackendKind.MONGODB, "mongodb://mongo", "reports"))
    assert await counts.latest(KEY) is None
    assert asked.times == 0  # the first was given up before it began


async def test_a_look_that_is_given_up_does_not_take_the_answer_from_the_next(
    asked: Asked, counts: InvocationCounts
) -> None:
    asked.may_answer.clear()
    counts.begin(KEY, REDIS)
    look = asyncio.create_task(counts.latest(KEY))
    await asyncio.sleep(0)
    look.cancel()
    with suppress(asyncio.CancelledError):
        await look
    asked.may_answer.set()
    assert await counts.latest(KEY) == {"running": 1}


async def test_nothing_is_kept_of_a_runner_that_is_gone(asked: Asked, counts: InvocationCounts) -> None:
    counts.begin(KEY, REDIS)
    assert await counts.latest(KEY) == {"running": 1}
    counts.forget(KEY)
    assert await counts.latest(KEY) is None
    assert asked.times == 1
