"""The API server's time, kept by the `Date` header of its answers.

Workers stamp their reports and the API server stamps creations; deadlines compare these with `now()`,
so a node whose clock is minutes off must not see idle pods that are busy.
"""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime


class Clock:
    """Unix seconds by the API server's clock; this machine's own clock until the first answer.

    It runs on the monotonic clock, so a step of the local time changes nothing. An answer bounds the
    server's time (a `Date` is cut to whole seconds, and was written between sending and receiving):
    as long as `now()` lies within, it is left alone; otherwise it moves to the nearer bound. A right
    local clock is therefore never touched, and a wrong one is right to about a second at once.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._epoch = wall() - monotonic()

    def now(self) -> float:
        """Unix seconds."""
        return self._epoch + self._monotonic()

    def monotonic(self) -> float:
        """Seconds that never jump: what `observe` takes, and what intervals are measured by."""
        return self._monotonic()

    def observe(self, date: str | None, sent: float, received: float) -> None:
        """Take in the `Date` of an answer, with the monotonic times of its request and itself.

        A header that is missing or makes no sense changes nothing.
        """
        try:
            server = parsedate_to_datetime(date or "").timestamp()
        except ValueError:
            return
        earliest, latest = server - received, server + 1.0 - sent
        self._epoch = min(max(self._epoch, earliest), latest)
