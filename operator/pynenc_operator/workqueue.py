"""A queue of keys: each at most once in it, and never worked on twice at a time.

Whatever happens to a runner only puts its key in; the worker looks at everything anew. A key that comes
in while it is being worked on waits its turn. A key that failed comes back with a growing pause.
"""

import asyncio
import contextlib
import heapq
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Final
from zlib import crc32

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
# Keys come back in this many groups: each is a burst of work, which must not hold up what comes in between.
STEPS_A_SECOND: Final = 10
# Looks at a key; the seconds until it is due again, or None if only something new makes it due.
type Work[K] = Callable[[K], Awaitable[float | None]]


class WorkQueue[K: Hashable]:
    """Keys with the time when they are due; `run` works on those that are."""

    def __init__(
        self,
        work: Work[K],
        *,
        workers: int,
        expected: type[Exception] | tuple[type[Exception], ...],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`expected`: errors that the outside causes; others are bugs, and logged with their traceback."""
        self._work = work
        self._workers = workers
        self._expected = expected
        self._monotonic = monotonic
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._entries = 0
        self._busy: set[K] = set()
        self._begun: dict[K, float] = {}  # when the latest look at each began
        self._failures: dict[K, int] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due) + len(self._busy)

    @property
    def overdue(self) -> float:
        """Seconds that the longest waiting key has been due; 0 while none is."""
        waiting = [due for key, due in self._due.items() if key not in self._busy]
        return max(0.0, self._monotonic() - min(waiting)) if waiting else 0.0

    def add(self, key: K) -> None:
        """Make a key due at once."""
        self.add_after(key, 0.0)

    def add_soon(self, key: K, apart: float) -> None:
        """Make a key due at once, or, where its latest look is younger than that, `apart` seconds after it began."""
        self.add_after(key, max(0.0, self._begun.get(key, float("-inf")) + apart - self._monotonic()))

    def add_after(self, key: K, seconds: float) -> None:
        """Make a key due in `seconds`, or sooner if it already is."""
        due = self._monotonic() + seconds
        if due >= self._due.get(key, float("inf")):
            return
        self._due[key] = due
        if key not in self._busy:  # else it waits its turn
            self._push(key)

    async def run(self) -> None:
        """Work on keys until cancelled: one waits for what is due, and each look is a task of its own."""
        places = asyncio.Semaphore(self._workers)
        async with asyncio.TaskGroup() as group:
            while True:
                await places.acquire()
                key = await self._take()
                group.create_task(self._serve(key, places))

    async def _serve(self, key: K, places: asyncio.Semaphore) -> None:
        pause = await self._attempt(key)
        if pause is not None:
            self.add_after(key, pause)
        self._busy.discard(key)
        places.release()
        if key in self._due:
            self._push(key)
        else:
            del self._begun[key]  # nothing is to come: it is forgotten

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
        """The pause to the key's own tenth of a second: what is due together shares a round trip.

        A pause of whole seconds leads from one to the next; the first one, to the nearest before.
        """
        if pause is None or pause < 1:
            return pause
        now, step = self._monotonic(), crc32(repr(key).encode()) % STEPS_A_SECOND / STEPS_A_SECOND
        return math.floor(now + pause + 0.5 / STEPS_A_SECOND - step) + step - now

    async def _take(self) -> K:
        while True:
            key = self._next()
            wait = None if key is None else self._due[key] - self._monotonic()
            if key is not None and wait is not None and wait <= 0:
                heapq.heappop(self._heap)
                del self._due[key]
                self._busy.add(key)
                self._begun[key] = self._monotonic()
                return key
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    def _next(self) -> K | None:
        """The key that is due first among those nobody works on, left at the head; entries that were moved go."""
        while self._heap:
            due, _, key = self._heap[0]
            if key not in self._busy and self._due.get(key) == due:
                return key
            heapq.heappop(self._heap)
        return None

    def _push(self, key: K) -> None:
        due = self._due[key]
        self._entries += 1
        heapq.heappush(self._heap, (due, self._entries, key))
        if self._heap[0][2] == key:  # what is waited for has changed
            self._changed.set()
