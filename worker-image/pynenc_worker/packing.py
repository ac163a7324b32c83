"""Who takes what is queued, when several workers could: one that works, before those that rest.

A fast stream of short tasks would give every worker of a pool one now and then. None would ever be idle, and
a pool that has grown would never shrink. So a worker that rests takes only what the others have left alone
for a moment. The longer it has rested, the longer the moment: it is always the same one that helps out.
"""

import time
from collections.abc import Callable
from typing import Final

# Without a thread for longer than the first, what has been queued for longer than the second is taken (in seconds).
# With the loop's own pause the operator's 0.5 s between two counts hold all of it.
PATIENCE: Final = ((10.0, 0.2), (0.5, 0.1))
# With so many queued every hand is needed, and what was seen a moment ago may be gone from the part looked at.
MANY: Final = 20


class Packing:
    """One worker's view of the queue's head, from one look to the next."""

    def __init__(
        self, queue_head: Callable[[int], list[str] | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`queue_head`: the first ids in the queues served, at most so many; None: it can't be told."""
        self._queue_head = queue_head
        self._clock = clock
        self._first_seen: dict[str, float] = {}

    def may_take(self, rested: float) -> bool:
        """Whether a worker may take from the queue that has had no thread for `rested` seconds."""
        patience = next((moment for limit, moment in PATIENCE if rested > limit), 0.0)
        head = self._queue_head(MANY) if patience else None
        if head is None:
            self._first_seen = {}
            return True
        now = self._clock()
        self._first_seen = {one: self._first_seen.get(one, now) for one in head}
        return len(head) >= MANY or any(now - seen >= patience for seen in self._first_seen.values())
