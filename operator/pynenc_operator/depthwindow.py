"""What is remembered of one queue between two counts: its peak, and since when something waits or nothing is known."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from pynenc_operator.backends import BrokerErrorKind
from pynenc_operator.conditions import Problem
from pynenc_operator.model import QueueDepth, QueueMark
from pynenc_operator.questions import CountQueue, QueueCount

# Scaling down looks at the highest count of this time: a pod that has just taken work still looks like a slot.
PEAK_SECONDS: Final = 2.0


@dataclass(slots=True)
class DepthWindow:
    """The counts of the last PEAK_SECONDS of one queue, and since when there have been none."""

    counts: deque[tuple[float, int]] = field(default_factory=deque)
    down_since: float | None = None
    told: Problem | None = None  # of the present outage
    waiting_since: float | None = None
    fell_at: float | None = None
    marks: tuple[QueueMark, ...] = ()

    def next_question(self) -> CountQueue:
        """How many wait, and how many of those that did at the last count."""
        return CountQueue(self.marks)

    def counted(self, now: float, count: QueueCount) -> QueueDepth:
        """Take a count in. What has waited at no two counts in a row has met a worker that takes work."""
        self.down_since = self.told = None
        self.marks = count.marks
        if self.counts and count.waiting < self.counts[-1][1]:
            self.fell_at = now
        if not count.waiting:
            self.waiting_since = None
        elif self.waiting_since is None or count.stayed == 0:
            self.waiting_since = now
        return self._depth(now, count.waiting)

    def _depth(self, now: float, count: int) -> QueueDepth:
        self.counts.append((now, count))
        while self.counts[0][0] < now - PEAK_SECONDS and len(self.counts) > 1:
            self.counts.popleft()
        peak = max(seen for at, seen in self.counts if at >= now - PEAK_SECONDS)
        return QueueDepth(count, peak, marks=self.marks, waiting_since=self.waiting_since, fell_at=self.fell_at)

    def failed(self, now: float) -> float:
        """Take a failed count in; since when counts have failed."""
        self.counts.clear()
        self.waiting_since, self.marks = None, ()
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
