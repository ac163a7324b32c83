"""One look at one runner: observe, decide, confirm, act, report.

The cache decides whether to look; a consistent LIST decides what to do. Pods are read first and the
queue last, so that a stale view scales too little for a tick, never too much. Where nothing changes,
nothing is asked of the API server and nothing is written.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from pynenc_operator import labels, status
from pynenc_operator.access import Access
from pynenc_operator.actuator import Actuator, Outcome
from pynenc_operator.announcer import Announcer
from pynenc_operator.conditions import Facts, Problem, Report
from pynenc_operator.creation import Creation
from pynenc_operator.decision import Decision
from pynenc_operator.definition import Definition
from pynenc_operator.failures import trouble_of
from pynenc_operator.kube import Kube, KubeError, NotFound, OutdatedDefinition
from pynenc_operator.model import Key, Observation
from pynenc_operator.observer import Observer
from pynenc_operator.oldestentry import OldestEntries
from pynenc_operator.podcache import PodCache, RunnerCache, same_wish
from pynenc_operator.podspec import PodBuilder, service_account
from pynenc_operator.pool import classify
from pynenc_operator.queuedepth import QueueDepths
from pynenc_operator.resource import parse_spec
from pynenc_operator.rest import until_next_look
from pynenc_operator.runnerrecord import Look
from pynenc_operator.runnerspec import Mode, RunnerSpec
from pynenc_operator.runnertable import RunnerTable
from pynenc_operator.scaling import decide
from pynenc_operator.specfields import SpecInvalid

type Json = dict[str, Any]

log = logging.getLogger(__name__)

# What failed beside the scaling itself is tried again after this.
RETRY_SECONDS: Final = 10.0
# A stale decision is taken again this soon.
AGAIN_SECONDS: Final = 0.2


@dataclass(slots=True)
class _Memory:
    """What is kept of a runner between looks; losing it costs a few requests, never a wrong deed."""

    resync_at: float = 0.0
    account: str = ""  # whose rights were looked at
    status_written: float = 0.0
    status_not_before: float = 0.0
    name_taken: Problem | None = None
    refusal_told: str = ""  # of an older definition, or of a spec that this version's would refuse
    spec: tuple[Json, RunnerSpec] | None = None  # the one that was read last, and what it says


class Reconciler:
    """Brings runners to what their spec, queue and pods call for; `on_decision` is told of each before it writes."""

    def __init__(
        self,
        *,
        kube: Kube,
        depths: QueueDepths,
        access: Access,
        build_pod: PodBuilder,
        pods: PodCache,
        runners: RunnerCache,
        now: Callable[[], float],
        resync_seconds: float,
        instance: str,
        on_decision: Callable[[Key], None] = lambda _key: None,
        aside: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kube = kube
        self._depths = depths
        self._access = access
        self._pods = pods
        self._runners = runners
        self._now = now
        self._resync_seconds = resync_seconds
        self._on_decision = on_decision
        self._announcer = Announcer(kube, now, instance)
        self._actuator = Actuator(kube, build_pod)
        self._creation = Creation(kube, build_pod, now)
        self._observer = Observer(pods, depths, self._creation, now, aside)
        self._memory: dict[Key, _Memory] = {}
        self._oldest = OldestEntries(depths, now)
        self._definition = Definition(kube, runners, now)
        self.table = RunnerTable()  # for metrics

    async def reconcile(self, key: Key) -> float | None:
        """Look at one runner; the seconds until the next look, or None when there is none to come."""
        runner = self._runners.get(key)
        if runner is None:
            self._forget(key)
            return None
        if "deletionTimestamp" in runner["metadata"]:
            self.table.forget(key)
            return None  # its pods drain by their SIGTERM and go with it
        memory = self._memory.setdefault(key, _Memory())
        spec = await self._checked_spec(key, runner, memory)
        if self._now() >= memory.resync_at or service_account(runner["spec"]) != memory.account:
            memory.resync_at = self._now() + await self._resync(key, runner)
        self.table.begins(key, runner, self._now())
        verdict = await self._creation.check(key, runner, self._observer.places(key, runner))
        seen, decision, problem = await self._observer.observe(key, runner, spec)
        self._on_decision(key)
        outcome, scaled = Outcome(), False
        if decision.acts and spec.mode is not Mode.SHADOW:
            await self._list(key)
            seen = await self._observer.again(key, runner, spec, seen)
            decision = decide(spec, seen, self._now())
            outcome = await self._act(key, runner, decision, seen)
            verdict = self._creation.learn(key, outcome, self._observer.places(key, runner))
            seen = self._observer.with_pods(key, runner, spec, seen)
            scaled = outcome.acted and decision.scales
            if outcome.refusal:  # what is reported is what is left of it
                decision = replace(decide(spec, seen, self._now()), reason=decision.reason)
            memory.name_taken = outcome.name_taken or memory.name_taken
        facts = Facts(problem, verdict.problem, verdict.valid, memory.name_taken, self._depths.shared(key))
        said = await self._report(key, runner, spec, facts, seen, decision, scaled=scaled)
        if not same_wish(runner, self._runners.get(key)):
            return AGAIN_SECONDS  # what an answer has shown of a spec, the watch tells of no more
        if outcome.errors:
            return RETRY_SECONDS  # what is refused now is not asked for again at every look
        if outcome.stale:
            return AGAIN_SECONDS
        if outcome.more:
            return 0.0
        unseen = len(self._pods.of(key)) > len(seen.pods) or self._pods.vanished(key)
        told = said and not unseen and self._depths.will_tell(key)
        return until_next_look(spec, seen, decision, facts, self._now(), told=told)

    async def _checked_spec(self, key: Key, runner: Json, memory: _Memory) -> RunnerSpec:
        """Go no further where the definition is older, or lets through what this version's would refuse.

        Not to a condition either: that would store what an older definition has left.
        """
        try:
            await self._definition.check(key)
            if memory.spec is None or memory.spec[0] != runner["spec"]:
                memory.spec = runner["spec"], parse_spec(runner["spec"])
        except (OutdatedDefinition, SpecInvalid) as error:
            if error.message != memory.refusal_told and await self._announcer.refused(runner, error):
                memory.refusal_told = error.message
            raise
        memory.refusal_told = ""
        return memory.spec[1]

    async def _resync(self, key: Key, runner: Json) -> float:
        """Read what is read without a cause: the backend's Secret, the workers' rights. Seconds to the next time.

        Without its pods nothing is done for it; without rights new pods take no work, but those that have reported do.
        """
        if not self._pods.is_whole(key):
            await self._list(key)
        self._depths.refresh(key)
        self._memory[key].name_taken = None
        self._memory[key].account = service_account(runner["spec"])
        try:
            await self._access.ensure(key, runner)
        except KubeError as error:
            log.warning("%s/%s: its workers may not be able to report: %s", *key, error)
            return RETRY_SECONDS
        return self._resync_seconds * random.uniform(0.9, 1.1)  # noqa: S311 - jitter

    async def _list(self, key: Key) -> None:
        known = self._pods.list_begins(key)
        found = await self._kube.list_pods(key.namespace, labels.workers_of(key.name))
        self._pods.replace(key, found, known, self._now())

    async def _act(self, key: Key, runner: Json, decision: Decision, seen: Observation) -> Outcome:
        outcome = await self._actuator.apply(key, runner, decision, {pod.name for pod in self._pods.of(key)})
        self.table.acted(key, decision, outcome, self._now())
        for pod in outcome.pods:
            self._pods.put(key, pod, self._now())
        for error in (*outcome.errors, *filter(None, [outcome.refusal])):
            log.warning("%s/%s: %s", *key, error)
        if outcome.acted:
            await self._announcer.tell(runner, decision, outcome, seen)
        return outcome

    async def _report(
        self,
        key: Key,
        runner: Json,
        spec: RunnerSpec,
        facts: Facts,
        seen: Observation,
        decision: Decision,
        *,
        scaled: bool,
    ) -> bool:
        """Write the status if it says something new; whether it says all that there is to say."""
        now = self._now()
        report = Report(
            key=key,
            generation=runner["metadata"]["generation"],
            spec=spec,
            pool=classify(spec, seen, now),
            decision=decision,
            depth=seen.depth,
            facts=facts,
            scaled=scaled,
            failures=seen.failures,
            orphans=seen.orphans,
            hang_suspected_at=seen.hang_suspected_at,
            trouble=trouble_of(seen),
            start_seconds=seen.start_seconds,
        )
        previous = runner.get("status", {})
        current = status.compute_status(previous, report, now)
        oldest = await self._oldest.age(key, seen.depth)
        invocations = await self._depths.invocations(key)
        self.table.looked(key, Look(report, current["conditions"], seen.pods, oldest, invocations), now)
        memory = self._memory[key]
        patch = status.patch_for(previous, current, now - memory.status_written)
        if patch is None or now < memory.status_not_before:
            return bool(previous == current)
        try:
            self._runners.put(await self._kube.patch_runner_status(key.namespace, key.name, patch, runner["spec"]))
        except NotFound:
            pass  # deleted meanwhile; the watch says so
        except OutdatedDefinition:
            self._definition.doubt()  # the next look tells of it
        except KubeError as error:  # scaling goes on without it
            log.warning("%s/%s: status not written: %s", *key, error)
            memory.status_not_before = now + RETRY_SECONDS
        else:
            memory.status_written = now
            return True
        return False

    def _forget(self, key: Key) -> None:
        self._memory.pop(key, None)
        self.table.forget(key)
        self._oldest.forget(key)
        self._pods.forget(key)
        self._observer.forget(key)
        self._creation.forget(key)
