"""The run's time, and its stop: whoever waits, waits by this."""

import threading
import time


class Stopped(Exception):  # noqa: N818 - no error
    """The run has been stopped by Ctrl-C or by its deadline."""


class Clock:
    """Seconds since the run's begin; negative ones do not exist: before it the time is 0."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._begun = 0.0

    def begin(self) -> None:
        self._begun = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self._begun if self._begun else 0.0

    def stop(self) -> None:
        self._stop.set()

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def until(self, moment: float) -> bool:
        """Wait for a moment of the run; whether it has come, as it has not when the run is stopped before."""
        return not self._stop.wait(max(0.0, moment - self.now()))

    def pause(self, seconds: float) -> None:
        """Wait; raises Stopped when the run is stopped."""
        if self._stop.wait(seconds):
            raise Stopped
