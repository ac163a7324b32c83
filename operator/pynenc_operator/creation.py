"""Whether pods can be made of a runner's template: what the API server thinks, and when to ask it again.

The built pod is sent as a dry run once for each template. A creation that is refused, by admission or a
quota, is tried again after 5, 20, 80 s and then every 300 s, not at every look; after an outage at the
latest after 20 s. Where others were made beside it, the pauses begin with 5 s again. A pod that goes makes
room in a quota: then it is tried at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pynenc_operator.actuator import Outcome
from pynenc_operator.conditions import Problem
from pynenc_operator.failures import retry_after
from pynenc_operator.kube import Forbidden, Invalid, Kube, KubeError
from pynenc_operator.model import Key
from pynenc_operator.podspec import PodBuilder, template_hash
from pynenc_operator.reason import Reason

type Json = dict[str, Any]

LONGEST_OUTAGE_PAUSE_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the API server thinks of a template; `valid` None: it has not said."""

    valid: bool | None = None
    problem: Problem | None = None


@dataclass(slots=True)
class _Attempts:
    template: str
    spec: Json | None = None  # the one whose hash that is
    verdict: Verdict = Verdict()
    refusals: int = 0
    not_before: float = 0.0
    limit: Reason | None = None
    pods: int = 0  # how many there were when the last one was refused

    def refused(self, now: float, longest: float = float("inf")) -> None:
        self.refusals += 1
        self.not_before = now + min(longest, retry_after(self.refusals))


class Creation:
    """Remembers, for each runner's present template, what came of making pods of it."""

    def __init__(self, kube: Kube, build_pod: PodBuilder, now: Callable[[], float]) -> None:
        self._kube = kube
        self._build_pod = build_pod
        self._now = now
        self._attempts: dict[Key, _Attempts] = {}

    async def check(self, key: Key, runner: Json, pods: int) -> Verdict:
        """Ask the API server once for each template; a mended template is asked about at once.

        `pods`: how many there are that have not ended.
        """
        attempts = self._attempts.get(key)
        if attempts is None or attempts.spec is not runner["spec"]:
            template = template_hash(runner["spec"])
            if attempts is None or attempts.template != template:
                attempts = self._attempts[key] = _Attempts(template)
            attempts.spec = runner["spec"]
        if attempts.verdict.valid is None and self._now() >= attempts.not_before:
            pod = self._build_pod(runner, f"{key.name}-template-check")
            try:
                await self._kube.create_pod(key.namespace, pod, dry_run=True)
            except KubeError as error:
                self._judge(attempts, error, pods)
            else:
                attempts.verdict = Verdict(valid=True)
        return attempts.verdict

    def template(self, key: Key) -> str:
        """Hash of the template that was last checked: a runner's present one, as each look begins with that."""
        return self._attempts[key].template

    def quota_full(self, key: Key, pods: int) -> bool:
        """Whether a quota has refused a pod, and none of the runner's `pods` that have not ended has gone since."""
        attempts = self._attempts[key]
        return attempts.limit is Reason.QUOTA and pods >= attempts.pods

    def is_held(self, key: Key, pods: int) -> bool:
        """Whether a refused creation waits for its next try; room in a quota ends the wait."""
        attempts = self._attempts[key]
        room = attempts.limit is Reason.QUOTA and pods < attempts.pods
        return not room and self._now() < attempts.not_before

    def limit(self, key: Key) -> Reason | None:
        """What limits the pool while a creation is held back; None where the template is at fault."""
        return self._attempts[key].limit

    def learn(self, key: Key, outcome: Outcome, pods: int) -> Verdict:
        """Take in what came of creating pods; `pods`: how many there are that have not ended."""
        attempts = self._attempts[key]
        if outcome.refusal:
            if outcome.created:  # some are let through: this one is the first that is not
                attempts.refusals = 0
            self._judge(attempts, outcome.refusal, pods)
        elif outcome.created:
            self._attempts[key] = attempts = _Attempts(attempts.template, attempts.spec, Verdict(valid=True))
        return attempts.verdict

    def forget(self, key: Key) -> None:
        """Drop a runner that is gone."""
        self._attempts.pop(key, None)

    def _judge(self, attempts: _Attempts, error: KubeError, pods: int) -> None:
        attempts.pods = pods
        if isinstance(error, Forbidden) and error.quota:
            attempts.refused(self._now())
            attempts.limit = Reason.QUOTA
            attempts.verdict = Verdict(valid=True)  # a full quota says nothing against the template
        elif isinstance(error, Invalid) or (isinstance(error, Forbidden) and not error.namespace_ends):
            attempts.refused(self._now())
            attempts.limit = None
            # Keeps `valid` unknown, so that it is asked again: what refuses may be mended outside the template.
            mend = f" ({error.mend})" if error.mend else ""
            attempts.verdict = Verdict(problem=Problem("Rejected", error.message + mend))
        else:
            attempts.refused(self._now(), LONGEST_OUTAGE_PAUSE_SECONDS)
            attempts.limit = Reason.REFUSED
