"""The API server's time: the operator compares reports with it, and a node's clock may be minutes off."""

from email.utils import parsedate_to_datetime
from typing import Final

# A Date header has whole seconds and an answer takes time: what lies within is no skew.
TOLERANCE_SECONDS: Final = 2.0


class ServerClock:
    """The offset to add to this machine's time, learned from Date headers."""

    def __init__(self) -> None:
        self.offset = 0.0

    def learn(self, date: str | None, sent: float, received: float) -> None:
        """Take the Date header of an answer to a request that went out at `sent` (Unix times of this machine)."""
        if date is None:
            return
        try:
            second = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return
        # The answer was written within [second, second + 1) there and [sent, received] here.
        lowest, highest = second - received, second + 1 - sent
        if lowest - TOLERANCE_SECONDS <= 0 <= highest + TOLERANCE_SECONDS:
            self.offset = 0.0
        elif not lowest <= self.offset <= highest:
            self.offset = (lowest + highest) / 2
