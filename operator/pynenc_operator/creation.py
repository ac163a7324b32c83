"""Whether pods can be made of a runner's template: what the API server thinks, and when to ask it again.

The built pod is sent as a dry run once for each template. A creation that is refused, by admission,
quota or an outage, is tried again after 5, 20, 80 s and then every 300 s, not at every look.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pynenc_operator.actuator import Outcome
from pynenc_operator.failures import retry_after
from pynenc_operator.kube import Forbidden, Invalid, Kube, KubeError
from pynenc_operator.model import Decision, Key, Reason
from pynenc_operator.podspec import PodBuilder, template_hash
from pynenc_operator.status import Problem

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the API server thinks of a template; `valid` None: it has not said."""

    valid: bool | None = None
    problem: Problem | None = None


@dataclass(slots=True)
class _Attempts:
    template: str
    verdict: Verdict = Verdict()
    refusals: int = 0
    not_before: float = 0.0
    limit: Reason | None = None

    def refused(self, now: float) -> None:
        self.refusals += 1
        self.not_before = now + retry_after(self.refusals)


class Creation:
    """Remembers, for each runner's present template, what came of making pods of it."""

    def __init__(self, kube: Kube, build_pod: PodBuilder, now: Callable[[], float]) -> None:
        self._kube = kube
        self._build_pod = build_pod
        self._now = now
        self._attempts: dict[Key, _Attempts] = {}

    async def check(self, key: Key, runner: Json) -> Verdict:
        """Ask the API server once for each template; a mended template is asked about at once."""
        template = template_hash(runner["spec"])
        attempts = self._attempts.get(key)
        if attempts is None or attempts.template != template:
            attempts = self._attempts[key] = _Attempts(template)
        if attempts.verdict.valid is None and self._now() >= attempts.not_before:
            pod = self._build_pod(runner, f"{key.name}-template-check")
            try:
                await self._kube.create_pod(key.namespace, pod, dry_run=True)
            except KubeError as error:
                self._judge(attempts, error)
            else:
                attempts.verdict = Verdict(valid=True)
        return attempts.verdict

    def hold_back(self, key: Key, decision: Decision) -> Decision:
        """Take the creation out of a decision while a refused one waits for its next try."""
        attempts = self._attempts[key]
        if decision.create is None or self._now() >= attempts.not_before:
            return decision
        desired = decision.desired - decision.create.count
        return replace(decision, create=None, desired=desired, limited=attempts.limit or decision.limited)

    def learn(self, key: Key, runner: Json, outcome: Outcome) -> Verdict:
        """Take in what came of creating pods."""
        attempts = self._attempts[key]
        if outcome.refusal:
            self._judge(attempts, outcome.refusal)
        elif outcome.created:
            self._attempts[key] = attempts = _Attempts(template_hash(runner["spec"]), Verdict(valid=True))
        return attempts.verdict

    def forget(self, key: Key) -> None:
        """Drop a runner that is gone."""
        self._attempts.pop(key, None)

    def _judge(self, attempts: _Attempts, error: KubeError) -> None:
        attempts.refused(self._now())
        attempts.limit = None
        if isinstance(error, Forbidden) and error.quota:
            attempts.limit = Reason.QUOTA
            attempts.verdict = Verdict(valid=True)  # a full quota says nothing against the template
        elif isinstance(error, Invalid | Forbidden):
            # Keeps `valid` unknown, so that it is asked again: what refuses may be mended outside the template.
            attempts.verdict = Verdict(problem=Problem("Rejected", error.message))
