"""The runners as they are now, and what has been counted of each: what is exported of them, all in one place.

The reconciler tells it what it sees and does; a runner that is gone takes everything with it.
"""

from typing import Any

from pynenc_operator.actuator import Outcome
from pynenc_operator.decision import Decision
from pynenc_operator.kube import Forbidden, Invalid, KubeError
from pynenc_operator.model import Key
from pynenc_operator.runnerrecord import ADMISSION, QUOTA, Look, RunnerRecord

type Json = dict[str, Any]


class RunnerTable:
    """A record for each runner that is looked at."""

    def __init__(self) -> None:
        self._records: dict[Key, RunnerRecord] = {}

    def items(self) -> list[tuple[Key, RunnerRecord]]:
        """All records whose runners have been looked at, as they are now; from any thread."""
        return [(key, record) for key, record in list(self._records.items()) if record.look]

    def begins(self, key: Key, runner: Json, now: float) -> None:
        """Note that a runner is looked at."""
        drain_timeout = float(runner["spec"]["drainTimeoutSeconds"])
        if key not in self._records:
            self._records[key] = RunnerRecord(runner, drain_timeout)
        self._records[key].begins(runner, drain_timeout, now)

    def acted(self, key: Key, decision: Decision, outcome: Outcome, now: float) -> None:
        """Take in what was done for a runner."""
        record = self._records[key]
        made = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in outcome.pods}
        record.acted(decision, [made[name] for name in outcome.created], outcome.done, now)
        if refusal := _refusal(outcome.refusal):
            record.refused(refusal)

    def looked(self, key: Key, look: Look, now: float) -> None:
        """Take in what a look has come to."""
        self._records[key].looked(look, now)

    def forget(self, key: Key) -> None:
        """Drop a runner that is gone."""
        self._records.pop(key, None)


def _refusal(error: KubeError | None) -> str | None:
    """Why a pod was not created; None where nobody has refused it: there was no answer."""
    if isinstance(error, Forbidden) and error.quota:
        return QUOTA
    return ADMISSION if isinstance(error, Forbidden | Invalid) else None
