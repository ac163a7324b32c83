"""How deep a runner's queue is: its backend from the spec, counted by the broker, with what outlives a count.

A count that can't be had is unknown, never zero: the reading then carries the problem, for the
runner's conditions, and since when the broker has been out of reach.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pynenc_operator.backends import BrokerError, BrokerErrorKind
from pynenc_operator.broker import DepthSource
from pynenc_operator.credentials import Credentials, CredentialsError
from pynenc_operator.model import Key, QueueDepth
from pynenc_operator.status import Problem

type Json = dict[str, Any]

# Scaling down looks at the highest count of this time: a pod that has just taken work still looks like a slot.
PEAK_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a queue: `depth` None is unknown, and `problem` says why."""

    depth: QueueDepth | None = None
    problem: Problem | None = None
    down_since: float | None = None


@dataclass(slots=True)
class DepthWindow:
    """The counts of the last PEAK_SECONDS of one queue, and since when there have been none."""

    counts: deque[tuple[float, int]] = field(default_factory=deque)
    down_since: float | None = None
    told: Problem | None = None  # of the present outage

    def counted(self, now: float, count: int) -> QueueDepth:
        """Take a count in."""
        self.down_since = self.told = None
        self.counts.append((now, count))
        while self.counts[0][0] < now - PEAK_SECONDS:
            self.counts.popleft()
        return QueueDepth(count, max(seen for _, seen in self.counts))

    def failed(self, now: float) -> float:
        """Take a failed count in; since when counts have failed."""
        self.counts.clear()
        if self.down_since is None:
            self.down_since = now
        return self.down_since

    def tell(self, problem: Problem) -> Problem:
        """What to say of a failed count.

        A client that tries several times gets a refusal in one look and is too slow in the next: still one outage,
        and a condition that went to and fro with it would be written every few seconds.
        """
        wavering = problem.reason == BrokerErrorKind.TIMEOUT
        if self.told is None or not (wavering and self.told.reason == BrokerErrorKind.UNREACHABLE):
            self.told = problem
        return self.told


class QueueDepths:
    """The queues of all runners."""

    def __init__(self, source: DepthSource, credentials: Credentials, now: Callable[[], float]) -> None:
        self._source = source
        self._credentials = credentials
        self._now = now
        self._windows: dict[Key, DepthWindow] = {}

    async def read(self, key: Key, runner: Json) -> Reading:
        """Count a runner's queue. A refused password makes the Secret be read again for the next count."""
        window = self._windows.setdefault(key, DepthWindow())
        try:
            backend = await self._credentials.backend(key, runner)
            count = await self._source.depth(backend)
        except CredentialsError as error:
            problem = window.tell(Problem("CredentialsMissing", str(error)))
            return Reading(problem=problem, down_since=window.failed(self._now()))
        except BrokerError as error:
            if error.kind is BrokerErrorKind.AUTHENTICATION:
                self._credentials.refresh(key)
            problem = window.tell(Problem(str(error.kind), str(error)))
            return Reading(problem=problem, down_since=window.failed(self._now()))
        return Reading(depth=window.counted(self._now(), count))

    def refresh(self, key: Key) -> None:
        """Have the backend's Secret read again."""
        self._credentials.refresh(key)

    def forget(self, key: Key) -> None:
        """Drop a runner that is gone."""
        self._windows.pop(key, None)
        self._credentials.forget(key)
