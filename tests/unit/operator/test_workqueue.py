"""The queue of keys."""

import asyncio
import itertools
import time as clock
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

import pytest

from pynenc_operator.workqueue import Cause, WorkQueue
from tests.unit.operator.builders import Time

type Work = Callable[[str], Awaitable[float | None]]


@asynccontextmanager
async def running(work: Work, workers: int = 2) -> AsyncIterator[WorkQueue[str]]:
    queue = WorkQueue(work, workers=workers, expected=OSError)
    task = asyncio.create_task(queue.run())
    yield queue
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_key_that_is_added_often_is_worked_on_once() -> None:
    seen: list[str] = []

    async def work(key: str) -> None:
        seen.append(key)

    async with running(work) as queue:
        for _ in range(5):
            queue.add_after("a", 0.05)
        queue.add("b")
        await until(lambda: len(seen) == 2)
        await asyncio.sleep(0.1)
    assert seen == ["b", "a"]


async def test_a_key_is_never_worked_on_twice_at_a_time() -> None:
    at_work = 0
    most = 0
    done = 0

    async def work(_key: str) -> None:
        nonlocal at_work, most, done
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.05)
        at_work -= 1
        done += 1

    async with running(work, workers=4) as queue:
        queue.add("a")
        await until(lambda: at_work == 1)
        queue.add("a")  # comes in while it is being worked on
        await until(lambda: done == 2)
    assert most == 1


async def test_a_look_that_stands_aside_leaves_its_place_to_others() -> None:
    seen: list[str] = []
    at_work, most = 0, 0

    async def work(key: str) -> None:
        nonlocal at_work, most
        if key.startswith("slow"):
            await queue.aside(0.3)
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.005)
        at_work -= 1
        seen.append(key)

    async with running(work, workers=1) as queue:
        for number in range(20):
            queue.add(f"slow{number}")
        await asyncio.sleep(0.05)
        queue.add("news")
        await until(lambda: len(seen) == 21)
    assert seen[0] == "news"
    assert most == 1  # each takes a place again when it goes on
    assert sorted(seen[1:]) == sorted(f"slow{number}" for number in range(20))


async def test_a_busy_key_holds_up_no_other() -> None:
    release = asyncio.Event()
    seen: list[str] = []

    async def work(key: str) -> None:
        if key == "slow":
            await release.wait()
        seen.append(key)

    async with running(work, workers=2) as queue:
        queue.add("slow")
        await asyncio.sleep(0.02)
        queue.add("slow")
        queue.add("quick")
        await until(lambda: seen == ["quick"])
        release.set()
        await until(lambda: seen == ["quick", "slow", "slow"])


async def test_a_pause_makes_a_key_due_again_and_an_earlier_time_wins() -> None:
    seen = 0

    async def work(_key: str) -> float | None:
        nonlocal seen
        seen += 1
        return 0.01 if seen < 3 else 3600.0

    async with running(work) as queue:
        queue.add("a")
        await until(lambda: seen == 3)
        queue.add("a")
        await until(lambda: seen == 4)


async def test_a_failure_comes_back_and_is_told_with_its_key(caplog: pytest.LogCaptureFixture) -> None:
    seen = 0

    async def work(_key: str) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            raise OSError("broken")

    async with running(work) as queue:
        queue.add("shop/reports")
        await until(lambda: seen == 2)
    [record] = caplog.records
    assert "shop/reports" in record.getMessage()
    assert not record.exc_info


async def test_a_bug_is_told_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def work(_key: str) -> None:
        raise ZeroDivisionError

    async with running(work) as queue:
        queue.add("a")
        await until(lambda: bool(caplog.records))
    assert caplog.records[0].exc_info


async def test_however_often_a_key_fails_it_comes_back_within_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    async def work(_key: str) -> None:
        raise OSError("broken")

    queue = WorkQueue(work, workers=1, expected=OSError)
    queue._failures["a"] = 5000
    pause = await queue._attempt("a")
    assert pause is not None
    assert 48 <= pause <= 60
    assert "again in" in caplog.text


async def test_the_first_of_a_burst_is_looked_at_at_once_and_the_rest_together() -> None:
    seen: list[float] = []

    async def work(_key: str) -> float:
        seen.append(clock.monotonic())
        return 3600.0

    async with running(work) as queue:
        added = clock.monotonic()
        queue.add_soon("a", 0.3)
        await until(lambda: len(seen) == 1)
        for _ in range(5):
            queue.add_soon("a", 0.3)
        await until(lambda: len(seen) == 2)
        await asyncio.sleep(0.05)
        assert len(seen) == 2
    assert seen[0] - added < 0.3 <= seen[1] - seen[0] + 0.01


async def test_one_that_is_due_wakes_nobody_else() -> None:
    """A hundred places and a thousand keys: what is waited for is the first of them alone."""
    seen: list[int] = []

    async def work(key: str) -> float:
        seen.append(int(key))
        return 3600.0

    async with running(work, workers=100) as queue:
        wakes = 0
        wait = queue._changed.wait

        async def counted() -> Literal[True]:
            nonlocal wakes
            wakes += 1
            return await wait()

        queue._changed.wait = counted  # type: ignore[method-assign]
        for number in range(20):
            queue.add_after(str(number), 0.05 + number * 0.01)
        await until(lambda: len(seen) == 20)
        assert wakes <= 25
    assert seen == list(range(20))


async def test_nothing_is_kept_of_a_key_of_which_nothing_is_to_come() -> None:
    async def work(_key: str) -> None:
        pass

    async with running(work) as queue:
        for number in range(10):
            queue.add(str(number))
        await until(lambda: queue.depth == 0 and not queue._busy)
        assert queue.overdue == 0
    assert queue._told == queue._answered == queue._news._due == queue._routine._due == {}
    assert queue._news._heap == []


async def test_news_is_looked_at_before_what_is_due_by_its_interval(time: Time) -> None:
    queue = WorkQueue(nothing, workers=1, expected=OSError, monotonic=time)
    for number in range(100):
        queue.add_after(f"routine-{number}", 0.0)
    time.now += 0.5
    queue.add("news")
    assert queue.depth == 101
    assert queue.overdue == 0.5
    assert queue._take().key == "news"
    assert queue._take().key == "routine-0"


async def test_a_key_that_is_overdue_by_its_interval_moves_ahead_with_its_news(time: Time) -> None:
    queue = WorkQueue(nothing, workers=1, expected=OSError, monotonic=time)
    for number in range(100):
        queue.add_after(f"routine-{number}", 0.0)
    queue.add("routine-99")
    assert queue.depth == 100
    assert queue._take().key == "routine-99"
    assert queue.depth == 99
    assert [queue._take().key for _ in range(99)] == [f"routine-{number}" for number in range(99)]


async def test_news_without_end_starves_nobody(time: Time) -> None:
    queue = WorkQueue(nothing, workers=1, expected=OSError, monotonic=time)
    queue.add_after("routine", 0.0)
    taken: list[str] = []
    while "routine" not in taken:
        time.now += 0.25
        queue.add(f"news-{len(taken)}")
        queue.add(f"more-{len(taken)}")
        taken.append(queue._take().key)
    assert 1.0 <= len(taken) * 0.25 <= 2.5


async def test_news_that_waits_its_time_holds_up_nothing_that_is_due(time: Time) -> None:
    queue = WorkQueue(nothing, workers=1, expected=OSError, monotonic=time)
    queue._answered["late"] = time.now
    queue.add_soon("late", 0.1)
    queue.add_after("routine", 0.0)
    assert queue._take().key == "routine"


async def test_a_burst_of_news_is_one_look_more_and_a_look_for_no_news_holds_up_none(time: Time) -> None:
    queue = WorkQueue(nothing, workers=1, expected=OSError, monotonic=time)
    queue.add_after("a", 0.0)
    assert queue._take().cause is Cause.INTERVAL
    queue._busy.clear()
    time.now += 0.01
    queue.add_soon("a", 0.2)
    first = queue._take()
    assert (first.cause, first.due, first.since) == (Cause.EVENT, time.now, time.now)
    queue._busy.clear()
    told = time.now = time.now + 0.05
    queue.add_soon("a", 0.2)
    time.now += 0.1
    queue.add_soon("a", 0.2)
    assert queue.depth == 0
    time.now += 0.06
    taken = queue._take()
    assert taken.since == told  # what it waited for is part of its latency
    assert taken.due == pytest.approx(told + 0.15)


async def test_each_look_is_told_of_with_its_cause_how_late_it_was_and_when_it_knew_what_to_do() -> None:
    begun: list[tuple[Cause, float]] = []
    decided: list[tuple[Cause, float]] = []
    ended = 0

    async def work(key: str) -> float:
        nonlocal ended
        await asyncio.sleep(0.05)
        queue.decided(key)
        await asyncio.sleep(0.2)  # what is written afterwards is no part of it
        ended += 1
        return 0.2

    queue = WorkQueue(
        work,
        workers=1,
        expected=OSError,
        on_begin=lambda *one: begun.append(one),
        on_decision=lambda *one: decided.append(one),
    )
    queue.add("a")
    queue.add("b")
    task = asyncio.create_task(queue.run())
    await until(lambda: ended == 4)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    causes = [Cause.EVENT] * 2 + [Cause.INTERVAL] * 2
    assert [cause for cause, _ in begun[:4]] == causes
    assert [cause for cause, _ in decided[:4]] == causes
    assert begun[1][1] >= 0.245  # it waited for the first
    waits = [later - earlier for (_, earlier), (_, later) in zip(begun, decided, strict=False)]
    assert all(wait >= 0.045 for wait in waits)
    assert min(waits) < 0.2


async def test_what_comes_in_during_a_look_is_looked_at_after_it() -> None:
    seen: list[str] = []

    async def work(key: str) -> float:
        seen.append(key)
        if seen == ["a"]:
            queue.add("a")
            queue.add_after("a", 0.0)
            queue.add("b")
        await asyncio.sleep(0.01)
        return 3600.0

    async with running(work, workers=2) as queue:
        queue.add("a")
        await until(lambda: len(seen) == 3)
        await asyncio.sleep(0.1)
    assert seen == ["a", "b", "a"]


@pytest.mark.parametrize("took", [0.0, 0.003, 0.04, 0.3, 0.8])
async def test_pauses_of_whole_seconds_keep_in_step_however_long_a_look_takes(time: Time, took: float) -> None:
    queue = WorkQueue(nothing, workers=1, expected=OSError, monotonic=time)
    begins: list[float] = []
    for _ in range(5):
        pause = queue._in_step("a", 1.0)
        assert pause is not None
        assert 0 <= pause <= 1.05
        time.now += pause
        begins.append(time.now)
        time.now += took
    assert [round(after - before, 6) for before, after in itertools.pairwise(begins)] == [1.0] * 4


async def test_many_keys_come_back_in_ten_groups(time: Time) -> None:
    queue = WorkQueue(nothing, workers=1, expected=OSError, monotonic=time)
    due = {round((queue._in_step(f"runner-{n}", 5.0) or 0) + time.now, 3) for n in range(1000)}
    assert len(due) <= 11
    assert max(due) - time.now <= 5.05
    assert min(due) - time.now >= 4


async def test_keys_that_rest_for_long_come_back_on_full_seconds(time: Time) -> None:
    queue = WorkQueue(nothing, workers=1, expected=OSError, monotonic=time)
    begins: list[float] = []
    for _ in range(3):
        pause = queue._in_step(f"runner-{len(begins)}", 20.0)
        assert pause is not None
        assert 19 <= pause <= 20.05
        time.now += pause
        begins.append(time.now)
        time.now += 0.03
    assert [begin % 1 for begin in begins] == [0.0] * 3
    assert begins[2] - begins[1] == 20


async def test_what_is_due_sooner_than_in_a_second_is_due_just_then(time: Time) -> None:
    queue = WorkQueue(nothing, workers=1, expected=OSError, monotonic=time)
    assert queue._in_step("a", 0.2) == 0.2
    assert queue._in_step("a", None) is None


async def nothing(_key: str) -> float | None:
    return None
