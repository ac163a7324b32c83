"""How many writes may be under way at a time: fewer once the API server says that it has too many.

Additive increase, multiplicative decrease, as TCP has it (RFC 5681): a 429 halves the window, and a whole window
of writes that were taken makes it one larger.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

MOST_WRITES: Final = 10
# What is refused within this time was sent before the window was halved: it says nothing new.
ROUND_SECONDS: Final = 1.0


class WriteWindow:
    """Places for writes, given in the order in which they are asked for."""

    def __init__(self, most: int = MOST_WRITES, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._monotonic = monotonic
        self._places = asyncio.Semaphore(most)
        self.size = most
        self._owed = 0  # places that are not given again when they become free
        self._taken = 0  # since the window was made larger or smaller
        self._halved = float("-inf")

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and have it."""
        await self._places.acquire()
        try:
            yield
        finally:
            self._give()

    def taken(self) -> None:
        """Note that the server has taken a write."""
        self._taken += 1
        if self.size < self._most and self._taken >= self.size:
            self.size += 1
            self._taken = 0
            self._give()

    def refused(self) -> None:
        """Note that it has too many requests."""
        now = self._monotonic()
        if now - self._halved >= ROUND_SECONDS:
            self._halved = now
            less = self.size // 2
            self.size -= less
            self._owed += less
            self._taken = 0

    def _give(self) -> None:
        if self._owed:
            self._owed -= 1
        else:
            self._places.release()
