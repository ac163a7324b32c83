"""How often the oldest entry of a queue is asked for, and what is said of it."""

from pynenc_operator.model import Key, QueueDepth
from pynenc_operator.oldestentry import OldestEntries

REPORTS = Key("shop", "reports")
SOME = QueueDepth(3, 3)


class Heads:
    """Queues whose head has been ready since `since`."""

    def __init__(self) -> None:
        self.since: float | None = 1000.0
        self.asked = 0
        self.tells = True

    async def oldest(self, key: Key) -> float | None:  # noqa: ARG002
        self.asked += 1
        return self.since

    def shows_entries(self, key: Key) -> bool:  # noqa: ARG002
        return self.tells


class Asking:
    def __init__(self) -> None:
        self.heads = Heads()
        self.now = 1010.0
        self.entries = OldestEntries(self.heads, lambda: self.now)  # type: ignore[arg-type]

    async def age(self, depth: QueueDepth | None = SOME) -> float | None:
        return await self.entries.age(REPORTS, depth)


async def test_it_is_read_every_few_seconds_and_not_at_every_look() -> None:
    asking = Asking()
    assert await asking.age() == 10.0
    asking.now += 4
    assert await asking.age() == 10.0
    asking.now += 1
    assert await asking.age() == 15.0
    assert asking.heads.asked == 2


async def test_an_empty_queue_is_not_asked_and_an_unknown_one_has_no_age() -> None:
    asking = Asking()
    assert await asking.age(QueueDepth(0, 0)) == 0.0
    assert await asking.age(None) is None
    asking.heads.tells = False
    assert await asking.age() is None
    assert asking.heads.asked == 0


async def test_what_comes_after_an_empty_queue_is_asked_at_once() -> None:
    asking = Asking()
    await asking.age()
    await asking.age(QueueDepth(0, 0))
    asking.heads.since = 1009.0
    assert await asking.age() == 1.0


async def test_an_entry_of_a_clock_that_is_ahead_is_new() -> None:
    asking = Asking()
    asking.heads.since = 2000.0
    assert await asking.age() == 0.0
