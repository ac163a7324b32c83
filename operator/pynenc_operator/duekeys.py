"""Keys with the time when each is due, the first of them at hand."""

import heapq
from collections.abc import Collection, Hashable, Iterator


class DueKeys[K: Hashable]:
    """Each key is in it once; what is asked for costs the logarithm of their number."""

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []  # may hold times that are no longer so
        self._entries = 0

    def __contains__(self, key: object) -> bool:
        return key in self._due

    def put(self, key: K, due: float) -> bool:
        """Have a key due then, or sooner if it already is; whether it is the first now."""
        if due >= self._due.get(key, float("inf")):
            return False
        self._due[key] = due
        return self._push(key)

    def put_back(self, key: K) -> bool:
        """Have a key found again that was passed over; whether it is the first."""
        return key in self._due and self._push(key)

    def until(self, now: float) -> Iterator[K]:
        """Those that are due; may be asked from another thread."""
        return (key for key, due in list(self._due.items()) if due <= now)

    def drop(self, key: K) -> None:
        """Have a key due no more."""
        self._due.pop(key, None)

    def first(self, passed_over: Collection[K]) -> tuple[float, K] | None:
        """The key that is due first and when; those passed over are found again when they are put back."""
        while self._heap:
            due, _, key = self._heap[0]
            if self._due.get(key) == due and key not in passed_over:
                return due, key
            heapq.heappop(self._heap)
        return None

    def _push(self, key: K) -> bool:
        self._entries += 1
        heapq.heappush(self._heap, (self._due[key], self._entries, key))
        return self._heap[0][2] == key
