"""A queue of keys: each at most once in it, and never worked on twice at a time.

Whatever happens to a runner only puts its key in; the worker looks at everything anew. A key that comes
in while it is being worked on waits its turn. A key that failed comes back with a growing pause. What is
new is taken before what is due by its interval alone, which is as it was in all likelihood.
"""

import asyncio
import contextlib
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from zlib import crc32

from pynenc_operator.duekeys import DueKeys

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
# Keys come back in this many groups: each is a burst of work, which must not hold up what comes in between.
STEPS_A_SECOND: Final = 10
# Those that rest for this long, in one a second: there are few of them at a time, and alone each would be dearer.
LONG_PAUSE_SECONDS: Final = 10.0
# A key that is due by its interval goes before news again when it is overdue by this much: none starves.
NEWS_AHEAD_SECONDS: Final = 1.0


class Cause(StrEnum):
    """Why a key is due."""

    EVENT = "event"
    INTERVAL = "interval"  # or again after a failure


# Looks at a key; the seconds until it is due again, or None if only something new makes it due.
type Work[K] = Callable[[K], Awaitable[float | None]]
# Told of each look: why, and some seconds.
type LookHook = Callable[[Cause, float], None]


@dataclass(frozen=True, slots=True)
class _Taken[K]:
    key: K
    cause: Cause
    due: float
    since: float  # when the first of its news came; for want of any, when it was due


class WorkQueue[K: Hashable]:
    """Keys with the time when they are due; `run` works on those that are."""

    def __init__(
        self,
        work: Work[K],
        *,
        workers: int,
        expected: type[Exception] | tuple[type[Exception], ...],
        on_begin: LookHook = lambda _cause, _seconds: None,
        on_decision: LookHook = lambda _cause, _seconds: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`expected`: errors that the outside causes; others are bugs, and logged with their traceback.

        `on_begin` is told when a look begins, with the seconds since it was due; `on_decision` when the work says by
        `decided` that it knows what to do, with the seconds since the first of its news, of which some may have waited.
        """
        self._work = work
        self._places = asyncio.Semaphore(workers)
        self._expected = expected
        self._on_begin = on_begin
        self._on_decision = on_decision
        self._monotonic = monotonic
        self._news: DueKeys[K] = DueKeys()
        self._routine: DueKeys[K] = DueKeys()
        self._busy: dict[K, _Taken[K]] = {}
        self._told: dict[K, float] = {}  # when the first of the news came of those that have some
        self._answered: dict[K, float] = {}  # when the latest look at each's news began
        self._failures: dict[K, int] = {}
        self._changed = asyncio.Event()

    @property
    def depth(self) -> int:
        """How many keys are due and not being looked at."""
        now = self._monotonic()
        return len({key for keys in (self._news, self._routine) for key in keys.until(now)} - self._busy.keys())

    @property
    def overdue(self) -> float:
        """Seconds that the longest waiting key has been due; 0 while none is."""
        waiting = [found[0] for keys in (self._news, self._routine) if (found := keys.first(self._busy))]
        return max(0.0, self._monotonic() - min(waiting)) if waiting else 0.0

    def add(self, key: K) -> None:
        """Have a key that has news looked at now."""
        self._tell(key, 0.0)

    def add_soon(self, key: K, apart: float) -> None:
        """The same, but, where the latest look at its news is younger than that, `apart` seconds after it began."""
        self._tell(key, max(0.0, self._answered.get(key, float("-inf")) + apart - self._monotonic()))

    def add_after(self, key: K, seconds: float) -> None:
        """Have a key looked at in `seconds` even if nothing happens, or sooner if it already is."""
        self._put(self._routine, key, seconds)

    def decided(self, key: K) -> None:
        """Tell of a key that is being looked at that it is known what to do about it; the rest may take its time."""
        taken = self._busy[key]
        self._on_decision(taken.cause, self._monotonic() - taken.since)

    async def run(self) -> None:
        """Work on keys until cancelled: one waits for what is due, and each look is a task of its own."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._until_due()
                await self._places.acquire()
                taken = self._take()
                self._on_begin(taken.cause, self._monotonic() - taken.due)
                group.create_task(self._serve(taken.key))

    async def aside(self, seconds: float) -> None:
        """Let a look wait and have others its place meanwhile; to be called by the work itself."""
        self._places.release()
        await asyncio.sleep(seconds)
        await self._places.acquire()

    async def _serve(self, key: K) -> None:
        pause = await self._attempt(key)
        del self._busy[key]
        self._places.release()
        first = self._news.put_back(key), self._routine.put_back(key)
        if any(first):
            self._changed.set()
        if pause is not None:
            self.add_after(key, pause)
        if key not in self._news and key not in self._routine:
            self._answered.pop(key, None)  # nothing is to come: it is forgotten

    async def _attempt(self, key: K) -> float | None:
        pause: float | None
        try:
            pause = await self._work(key)
        except Exception as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 10))
            pause = longest * random.uniform(0.8, 1.0)  # noqa: S311 - jitter
            log.warning("%s: %s; again in %.0f s", key, error, pause, exc_info=not isinstance(error, self._expected))
        else:
            self._failures.pop(key, None)
            pause = self._in_step(key, pause)
        return pause

    def _in_step(self, key: K, pause: float | None) -> float | None:
        """The pause to the key's own tenth of a second, or the full one: what is due together shares a round trip.

        A pause of whole seconds leads from one to the next; the first one, to the nearest before.
        """
        if pause is None or pause < 1:
            return pause
        steps = STEPS_A_SECOND if pause < LONG_PAUSE_SECONDS else 1
        now, step = self._monotonic(), crc32(repr(key).encode()) % steps / steps
        return math.floor(now + pause + 0.5 / STEPS_A_SECOND - step) + step - now

    async def _until_due(self) -> None:
        """Wait until a key is due. It holds no place meanwhile: a look that stood aside may want it back."""
        while True:
            self._changed.clear()
            now = self._monotonic()
            found = self._next(now)
            if found is not None and found.due <= now:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(found.due - now if found else None):
                    await self._changed.wait()

    def _take(self) -> _Taken[K]:
        """The key whose turn it is now that there is a place: what was due still is, as nobody else takes one."""
        now = self._monotonic()
        found = self._next(now)
        if found is None:
            raise LookupError("no key is due")
        self._news.drop(found.key)
        self._routine.drop(found.key)
        self._busy[found.key] = found
        if self._told.pop(found.key, None) is not None:
            self._answered[found.key] = now
        return found

    def _next(self, now: float) -> _Taken[K] | None:
        """What is to be looked at next, of the keys that nobody looks at; it may not be due yet."""
        news, routine = self._news.first(self._busy), self._routine.first(self._busy)
        ahead = NEWS_AHEAD_SECONDS if news and news[0] <= now else 0.0
        if news and (routine is None or news[0] - ahead <= routine[0]):
            return _Taken(news[1], Cause.EVENT, news[0], self._told[news[1]])
        return _Taken(routine[1], Cause.INTERVAL, routine[0], routine[0]) if routine else None

    def _tell(self, key: K, seconds: float) -> None:
        self._told.setdefault(key, self._monotonic())
        self._put(self._news, key, seconds)

    def _put(self, keys: DueKeys[K], key: K, seconds: float) -> None:
        if keys.put(key, self._monotonic() + seconds):
            self._changed.set()
