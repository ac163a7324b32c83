"""How many writes to pods may be under way at a time: fewer once the API server says that it has too many.

Additive increase, multiplicative decrease, as TCP has it (RFC 5681): a 429 halves the window, and a whole window
of writes that were taken makes it one larger.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

MOST_WRITES: Final = 12
# What is refused within this time was sent before the window was halved: it says nothing new.
ROUND_SECONDS: Final = 1.0


class WriteWindow:
    """Places for writes, given in the order in which they are asked for."""

    def __init__(self, most: int = MOST_WRITES, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._monotonic = monotonic
        self.size = most
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = 0  # since the window was made larger or smaller
        self._halved = float("-inf")

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and have it. A write has a deadline of its own, so each wait ends."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._under_way -= 1
            self._admit()

    def taken(self) -> None:
        """Note that the server has taken a write."""
        self._taken += 1
        if self.size < self._most and self._taken >= self.size:
            self.size += 1
            self._taken = 0
            self._admit()

    def refused(self) -> None:
        """Note that it has too many requests."""
        now = self._monotonic()
        if now - self._halved >= ROUND_SECONDS:
            self._halved = now
            self.size -= self.size // 2
            self._taken = 0

    def _admit(self) -> None:
        while self._waiting and self._under_way < self.size:
            turn = self._waiting.popleft()
            if not turn.done():  # else whoever waited has been cancelled
                self._under_way += 1
                turn.set_result(None)
