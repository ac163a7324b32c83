"""Says in the log and in events what was done for a runner. An event that can't be written is only logged.

A look waits for its events: where the API server has no answer for one, none is written for a while.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

from pynenc_operator import events
from pynenc_operator.actuator import Outcome
from pynenc_operator.decision import Decision
from pynenc_operator.kube import Kube, KubeError
from pynenc_operator.model import Observation

type Json = dict[str, Any]

log = logging.getLogger(__name__)

SILENT_SECONDS: Final = 20.0


class Announcer:
    """Writes of runners."""

    def __init__(self, kube: Kube, now: Callable[[], float], instance: str) -> None:
        """`instance`: of this operator, which events name."""
        self._kube = kube
        self._now = now
        self._instance = instance
        self._silent_until = float("-inf")

    async def tell(self, runner: Json, decision: Decision, outcome: Outcome, seen: Observation) -> None:
        """Tell of all that was done by one decision."""
        depth = seen.depth.count if seen.depth else None
        why = decision.create.reason if decision.create else decision.reason
        for reason, action, note in events.describe(outcome.created, why, outcome.done, depth):
            log.info("%s/%s: %s: %s", runner["metadata"]["namespace"], runner["metadata"]["name"], reason, note)
            await self.write_event(runner, reason, note, action=action)

    async def write_event(
        self, runner: Json, reason: str, note: str, *, action: str, kind: str = events.NORMAL
    ) -> None:
        """Write one event, unless there was no answer for another lately."""
        if self._now() < self._silent_until:
            return
        body = events.event(runner, self._now(), reason, note, action=action, instance=self._instance, kind=kind)
        try:
            await self._kube.create_event(runner["metadata"]["namespace"], body)
        except KubeError as error:
            log.warning("event not written: %s", error)
            if error.status is None:
                self._silent_until = self._now() + SILENT_SECONDS
