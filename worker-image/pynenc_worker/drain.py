"""Why a worker takes no more work, and until when it may still run what it has."""

from __future__ import annotations

import time
from collections.abc import Callable


class Drain:
    """Asked for by the operator's annotation, which can be taken back, or by a stop, which can't.

    The signal handler writes here, in the middle of anything the main thread does: so there is no lock,
    each method is a few plain assignments, and readers look again in their next round.
    """

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout = timeout
        self._clock = clock
        self._began: float | None = None
        self._overdue = False
        self.request_id = ""
        self.stop_reason = ""

    @property
    def active(self) -> bool:
        """Whether no work may be taken."""
        return bool(self.request_id or self.stop_reason)

    @property
    def stopping(self) -> bool:
        """Whether the process ends when its last thread has ended."""
        return bool(self.stop_reason)

    @property
    def expired(self) -> bool:
        """Whether what still runs has to be handed back now: the timeout after the drain began."""
        return self._overdue or (self._began is not None and self._clock() - self._began >= self._timeout)

    def request(self, request_id: str) -> None:
        """Follow the drain-request annotation; empty takes the drain back, unless a stop asks for it as well."""
        self.request_id = request_id
        if not request_id and not self.stop_reason:
            self._began = None
        elif self._began is None:
            self._began = self._clock()

    def stop(self, reason: str) -> None:
        """Drain for good, then end the process; `reason` is for the log."""
        self.stop_reason = self.stop_reason or reason
        if self._began is None:
            self._began = self._clock()

    def hand_back_now(self) -> None:
        """Give up what still runs at once, as at the timeout."""
        self._overdue = True
