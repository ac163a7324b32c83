"""What the tool tells the person in front of it."""

import sys
import time
from collections.abc import Callable


class ClusterError(Exception):
    """Something that the tool can't go on after. The text names the object, the cause, and the mend."""


def say(text: str) -> None:
    """Print one line of progress at once, also into a pipe."""
    print(text, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """A duration as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress:
    """Lines that say how far a long step is: at most one every `interval` seconds.

    On a terminal one line is written over; elsewhere (CI, a log file) each is a line of its own, less often.
    """

    def __init__(self, title: str, *, interval: float | None = None) -> None:
        self.title = title
        self.started = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._interval = interval if interval is not None else (0.5 if self._terminal else 10)
        self._next = self.started + self._interval

    @property
    def elapsed(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self.started

    def tick(self, state: Callable[[], str]) -> None:
        """Show `state()` if it is time to; call it as often as you like."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._interval
        line = f"{self.title}: {state()}, {clock(self.elapsed)}"
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
        else:
            say(line)

    def done(self, outcome: str = "done") -> None:
        """End the step with a line of its own."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
        say(f"{self.title}: {outcome}, {clock(self.elapsed)}")
