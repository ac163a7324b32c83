"""How many writes may be under way at a time."""

import asyncio

from pynenc_operator.writewindow import MOST_WRITES, ROUND_SECONDS, WriteWindow
from tests.unit.operator.builders import Time


async def most_at_a_time(window: WriteWindow, writes: int = 50) -> int:
    under_way = most = 0

    async def write() -> None:
        nonlocal under_way, most
        async with window.place():
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    await asyncio.gather(*(write() for _ in range(writes)))
    return most


async def test_at_first_there_are_as_many_as_may_be() -> None:
    assert await most_at_a_time(WriteWindow()) == MOST_WRITES


async def test_too_many_requests_halve_it_once_for_all_that_were_under_way(time: Time) -> None:
    window = WriteWindow(monotonic=time)
    for _ in range(10):
        window.refused()
    assert window.size == MOST_WRITES // 2
    assert await most_at_a_time(window) == MOST_WRITES // 2


async def test_one_is_left_however_often_it_is_refused_and_nobody_waits_for_ever(time: Time) -> None:
    window = WriteWindow(monotonic=time)
    for _ in range(20):
        window.refused()
        time.now += ROUND_SECONDS
    assert window.size == 1
    assert await most_at_a_time(window) == 1


async def test_a_window_of_writes_makes_it_one_larger_up_to_what_it_was(time: Time) -> None:
    window = WriteWindow(monotonic=time)
    window.refused()
    await most_at_a_time(window)
    for _ in range(MOST_WRITES // 2):
        window.taken()
    assert window.size == MOST_WRITES // 2 + 1
    assert await most_at_a_time(window) == MOST_WRITES // 2 + 1
    for _ in range(1000):
        window.taken()
    assert window.size == MOST_WRITES
    assert await most_at_a_time(window) == MOST_WRITES


async def test_who_gives_up_waiting_takes_no_place_along() -> None:
    window = WriteWindow(most=1)
    async with window.place():
        waiting = asyncio.create_task(most_at_a_time(window, 1))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert await most_at_a_time(window, 3) == 1
