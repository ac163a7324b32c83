"""How long the oldest entry of a queue has waited, asked now and then: for metrics alone."""

from collections.abc import Callable
from typing import Final

from pynenc_operator.model import Key, QueueDepth
from pynenc_operator.queuedepth import QueueDepths

ASK_SECONDS: Final = 5.0


class OldestEntries:
    """The age of each queue's head, as it was last read."""

    def __init__(self, depths: QueueDepths, now: Callable[[], float]) -> None:
        self._depths = depths
        self._now = now
        self._read: dict[Key, tuple[float, float | None]] = {}  # when, and what

    async def age(self, key: Key, depth: QueueDepth | None) -> float | None:
        """Seconds; None where it is not known, and 0 for an empty queue."""
        if depth is None or not self._depths.shows_entries(key):
            self._read.pop(key, None)
            return None
        if not depth.count:
            self._read.pop(key, None)
            return 0.0
        at, age = self._read.get(key, (float("-inf"), None))
        if self._now() - at >= ASK_SECONDS:
            ready_since = await self._depths.oldest(key)
            age = None if ready_since is None else max(0.0, self._now() - ready_since)
            self._read[key] = self._now(), age
        return age

    def forget(self, key: Key) -> None:
        """Drop a runner that is gone."""
        self._read.pop(key, None)
