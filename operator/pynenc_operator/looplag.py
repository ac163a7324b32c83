"""How late the event loop is: whatever blocks it holds up every runner, and at last the Lease."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

PERIOD_SECONDS: Final = 1.0


async def measure(on_lag: Callable[[float], None]) -> None:
    """Sleep, and tell by how many seconds too long it was; until cancelled."""
    while True:
        due = time.monotonic() + PERIOD_SECONDS
        await asyncio.sleep(PERIOD_SECONDS)
        on_lag(max(0.0, time.monotonic() - due))
