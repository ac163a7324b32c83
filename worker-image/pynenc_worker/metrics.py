"""What a worker counts of itself, as plain numbers. `exposition` makes of them what Prometheus reads.

Apart from each other because Prometheus' client takes a tenth of the time until a worker's first task: it is imported
when somebody asks.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from pynenc_worker.contract import WorkerState

SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Counts:
    """How often something was so, by what it was: these from the beginning. For any thread."""

    def __init__(self, *kinds: str) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(kinds, 0)

    def add(self, kind: str, times: int = 1) -> None:
        """Count it so many times more."""
        with self._lock:
            self._counts[kind] += times

    def by_kind(self) -> dict[str, int]:
        """How often until now."""
        with self._lock:
            return dict(self._counts)


class Durations:
    """How long something took, by upper bounds in seconds; one more bucket takes what is longer. For any thread."""

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._lock = threading.Lock()
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Take one in. A bucket holds what is as long as its bound, too: Prometheus' `le`."""
        with self._lock:
            self._counts[bisect_left(self._bounds, seconds)] += 1
            self._sum += seconds

    def so_far(self) -> tuple[list[tuple[float, int]], float]:
        """How many were no longer than each bound, the last of which is infinite; and the sum of all in seconds."""
        with self._lock:
            counts = accumulate(self._counts)
            return list(zip((*self._bounds, float("inf")), counts, strict=True)), self._sum


class WorkerMetrics:
    """All that one worker counts. States are called as in the pod's worker-state annotation."""

    def __init__(self) -> None:
        self.state: WorkerState | None = None  # before its first report
        self.slots: tuple[int, int] | None = None  # used and free, once the loop goes round
        self.last_round = 0.0  # Unix time; 0 before the first one
        self.invocations = Counts("success", "failed", "retry", "superseded", "unloadable")
        self.handed_on = Counts("dead_runner", "lost", "drain_timeout")
        self.reports = Counts("accepted", "refused", "unreachable")
        self.broker_calls = Counts("failed")
        self.waited = Durations()
        self.ran = Durations()

    def went_round(self) -> None:
        """Note that the runner's loop begins a round."""
        self.last_round = time.time()

    def set_slots(self, total: int, used: int) -> None:
        """Note how many threads work and how many more may."""
        self.slots = used, max(0, total - used)

    def broker_failed(self) -> None:
        """Count a call to the broker that failed and is tried again."""
        self.broker_calls.add("failed")
