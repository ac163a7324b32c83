"""Says in the log and in events what was done for a runner. An event that can't be written is only logged.

A look waits for its events: where the API server does not answer one in time, none is written for a while.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

from pynenc_operator import events
from pynenc_operator.actuator import Outcome
from pynenc_operator.decision import Decision
from pynenc_operator.kube import Kube, KubeError, OutdatedDefinition
from pynenc_operator.model import Observation
from pynenc_operator.specfields import SpecInvalid

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
            await self._write(runner, reason, note, action=action)

    async def refused(self, runner: Json, error: SpecInvalid | OutdatedDefinition) -> bool:
        """Tell why nothing is done for a runner; whether the API server has answered."""
        reason = "SpecInvalid" if isinstance(error, SpecInvalid) else "DefinitionOutdated"
        return await self._write(runner, reason, f"{error.message}: {error.mend}", action="Refuse", kind="Warning")

    async def _write(self, runner: Json, reason: str, note: str, *, action: str, kind: str = events.NORMAL) -> bool:
        """Write one event, unless there was no answer to another lately; whether there was one to this."""
        if self._now() < self._silent_until:
            return False
        body = events.event(runner, self._now(), reason, note, action=action, instance=self._instance, kind=kind)
        try:
            await self._kube.create_event(runner["metadata"]["namespace"], body)
        except KubeError as error:
            log.warning("event not written: %s", error)
            if error.reason == "Timeout":
                self._silent_until = self._now() + SILENT_SECONDS
            return error.status is not None
        return True
