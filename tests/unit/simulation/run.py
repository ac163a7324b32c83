"""What all parts of one simulated run share: virtual time, dice, latencies and the record of what happened."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

type Range = tuple[float, float]  # drawn from evenly, in seconds

EPOCH: Final = 1_800_000_000.0  # Unix seconds at the loop's time 0
LINE_LENGTH: Final = 200
RECORDED: Final = 4000  # what is kept of the record: the end of the story is what a failure needs


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take. The defaults are a calm cluster's."""

    request: Range = (0.002, 0.02)  # a request or an answer between operator and API server
    count: Range = (0.001, 0.02)  # one count of the queue
    watch: Range = (0.0, 0.2)  # from a change to the operator's cache
    bind: Range = (0.02, 0.1)  # from a pod's creation to its node
    start: Range = (0.8, 1.5)  # from a pod's creation to the start of its container
    load: Range = (0.3, 1.0)  # from there to the worker's first look: the import of user code
    status: Range = (0.0, 2.0)  # from what a container does to what the kubelet says of it
    stop: Range = (0.05, 1.0)  # from a pod's deletion to its SIGTERM
    remove: Range = (0.5, 2.0)  # from a container's end to the object's
    report: Range = (0.01, 0.5)  # from a worker's news to their place on the pod, and back
    podinfo: Range = (0.1, 0.5)  # from an annotation to the file in the pod
    pickup: Range = (0.0, 0.3)  # from work in the queue to a free worker's look
    hold: Range = (0.001, 0.03)  # from a pop to the thread's start
    search: Range = (70.0, 85.0)  # from what a dead runner held to what it had lost
    rejoin: Range = (0.0, 2.0)  # from a broker's return to a worker's next look


class Lane:
    """A way on which things arrive late, but in order."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._last = 0.0

    def at(self, time: float, deed: Callable[..., object], *args: Any) -> None:
        # Strictly later than what went before: the loop's heap mixes up what is due at the same time.
        self._last = max(time, self._last + 1e-6)
        self._run.at(self._last, deed, *args)

    def after(self, span: Range, deed: Callable[..., object], *args: Any) -> None:
        self.at(self._run.time + self._run.draw(span), deed, *args)


class ViolationError(AssertionError):
    """An invariant does not hold."""


class BusyPodDeletedError(ViolationError):
    """The one thing that must never happen."""


class Run:
    """One run: its clock, its dice and what happened in it. Made inside a running event loop."""

    def __init__(self, seed: int, timing: Timing) -> None:
        self.timing = timing
        self.rng = random.Random(seed)  # noqa: S311 - dice of a test
        self._loop = asyncio.get_running_loop()
        self._begin = self._loop.time()
        self._record: deque[tuple[float, str, tuple[Any, ...]]] = deque(maxlen=RECORDED)

    @property
    def time(self) -> float:
        """Seconds since the run began."""
        return self._loop.time() - self._begin

    def now(self) -> float:
        """Unix seconds."""
        return EPOCH + self._loop.time()

    def draw(self, span: Range) -> float:
        return self.rng.uniform(*span)

    def chance(self, share: float) -> bool:
        return share > 0 and self.rng.random() < share

    def after(self, span: Range, deed: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Do something once a time drawn from `span` has passed."""
        return self._loop.call_later(self.rng.uniform(*span), deed, *args)

    def at(self, time: float, deed: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Do something at a time of the run."""
        return self._loop.call_at(self._begin + time, deed, *args)

    def note(self, who: str, *what: Any) -> None:
        self._record.append((self.time, who, what))

    def timeline(self, last: int) -> str:
        """The end of the story."""
        shown = list(self._record)[-last:]
        lines = (f"{time:9.3f}  {who:12}  {' '.join(map(str, what))}" for time, who, what in shown)
        return "\n".join(line[:LINE_LENGTH] for line in lines)
