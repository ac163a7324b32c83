"""Finding invocations by status and in the queue, as any backend can tell it; and what a backend wants of the loop.

A backend with an index of its own has a subclass that answers faster or at all.
"""

from collections.abc import Iterable
from typing import Final

from pynenc import Pynenc
from pynenc.invocation.status import InvocationStatus

PAGE: Final = 10_000


class InvocationIndex:
    """What pynenc's own interfaces say."""

    def __init__(self, app: Pynenc) -> None:
        self._app = app

    def round_over(self) -> None:
        """Called by the loop when all that it has taken is started, or has been decided about."""

    def close(self) -> None:
        """Called when the worker ends."""

    def ask(self) -> None:
        """Ask the backend something, to see that it is there.

        :raises Exception: it is not
        """
        self._app.broker.count_invocations()

    def with_status(self, statuses: Iterable[InvocationStatus]) -> list[str]:
        """Every invocation in one of these statuses."""
        wanted = list(statuses)
        found: list[str] = []
        while True:
            page = self._app.orchestrator.get_invocation_ids_paginated(statuses=wanted, limit=PAGE, offset=len(found))
            found.extend(str(invocation_id) for invocation_id in page)
            if len(page) < PAGE:
                return found

    def queued(self) -> set[str] | None:
        """The ids in the queue; None when it holds some and the backend can't say which."""
        return None if self._app.broker.count_invocations() else set()

    def queue_head(self, most: int) -> list[str] | None:
        """The ids that are next in the queues served, up to `most`; None when the backend can't say without taking."""
        del most
        return None

    def silent_runners(self, seconds: float) -> list[str]:
        """Runners whose last heartbeat is older than that; none where the backend can't say."""
        del seconds
        return []

    def forget_runner(self, runner_id: str) -> None:
        """Remove the heartbeat of a runner that holds nothing any more, where that is possible."""
