"""One look at one runner: observe, decide, confirm, act, report.

The cache decides whether to look; a consistent LIST decides what to do. Pods are read first and the
queue last, so that a stale view scales too little for a tick, never too much. Where nothing changes,
nothing is asked of the API server and nothing is written.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from pynenc_operator import events, labels, status
from pynenc_operator.access import Access
from pynenc_operator.actuator import Actuator, Outcome
from pynenc_operator.creation import Creation
from pynenc_operator.failures import assess, trouble_of
from pynenc_operator.kube import Kube, KubeError, NotFound
from pynenc_operator.model import Decision, Key, Observation, QueueDepth, WorkerPod
from pynenc_operator.podcache import PodCache, RunnerCache
from pynenc_operator.podspec import PodBuilder, template_hash
from pynenc_operator.pool import classify
from pynenc_operator.queuedepth import QueueDepths
from pynenc_operator.resource import parse_failures, parse_spec
from pynenc_operator.runnerspec import Mode, RunnerSpec
from pynenc_operator.scaling import decide

type Json = dict[str, Any]

log = logging.getLogger(__name__)

# A worker with a free thread takes work within 0.3 s: what is still queued after this found none.
RECOUNT_SECONDS: Final = 0.5
# What failed beside the scaling itself is tried again after this.
RETRY_SECONDS: Final = 10.0
# A stale decision is taken again this soon.
AGAIN_SECONDS: Final = 0.2


@dataclass(slots=True)
class _Memory:
    """What is kept of a runner between looks; losing it costs a few requests, never a wrong deed."""

    resync_at: float = 0.0
    status_written: float = 0.0
    status_not_before: float = 0.0
    name_taken: status.Problem | None = None


class Reconciler:
    """Brings runners to what their spec, their queue and their pods call for."""

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
    ) -> None:
        self._kube = kube
        self._depths = depths
        self._access = access
        self._pods = pods
        self._runners = runners
        self._now = now
        self._resync_seconds = resync_seconds
        self._instance = instance
        self._actuator = Actuator(kube, build_pod)
        self._creation = Creation(kube, build_pod, now)
        self._memory: dict[Key, _Memory] = {}
        self.table: dict[Key, Json] = {}  # the latest status of each runner, written or not: for metrics

    async def reconcile(self, key: Key) -> float | None:
        """Look at one runner; the seconds until the next look, or None when there is none to come."""
        runner = self._runners.get(key)
        if runner is None:
            self._forget(key)
            return None
        if "deletionTimestamp" in runner["metadata"]:
            return None  # its pods drain by their SIGTERM and go with it
        memory = self._memory.setdefault(key, _Memory())
        if self._now() >= memory.resync_at:
            memory.resync_at = self._now() + await self._resync(key, runner)
        spec = parse_spec(runner["spec"])
        verdict = await self._creation.check(key, runner)
        seen, problem = await self._observe(key, runner, spec)
        decision = self._creation.hold_back(key, decide(spec, seen, self._now()))
        outcome = Outcome()
        if decision.acts and spec.mode is not Mode.SHADOW:
            await self._list(key)
            seen = await self._observe_again(key, runner, seen)
            decision = self._creation.hold_back(key, decide(spec, seen, self._now()))
            outcome = await self._act(key, runner, decision, seen)
            verdict = self._creation.learn(key, runner, outcome)
            memory.name_taken = outcome.name_taken or memory.name_taken
            seen = replace(seen, pods=self._own_pods(key, runner))
        facts = status.Facts(problem, verdict.problem, verdict.valid, memory.name_taken)
        await self._report(key, runner, facts, seen, decision, scaled=outcome.acted and decision.scales)
        if outcome.errors:
            return RETRY_SECONDS  # what is refused now is not asked for again at every look
        return AGAIN_SECONDS if outcome.stale else float(spec.poll_interval_seconds)

    async def _resync(self, key: Key, runner: Json) -> float:
        """Read what is read without a cause: pods, the backend's Secret, the workers' rights. Seconds to the next time.

        Without a LIST nothing is done for this runner; without rights its new pods take no work, but those that have
        reported go on.
        """
        await self._list(key)
        self._depths.refresh(key)
        self._memory[key].name_taken = None
        try:
            await self._access.ensure(key, runner)
        except KubeError as error:
            log.warning("%s/%s: its workers may not be able to report: %s", *key, error)
            return RETRY_SECONDS
        return self._resync_seconds * random.uniform(0.9, 1.1)  # noqa: S311 - jitter

    async def _list(self, key: Key) -> None:
        found = await self._kube.list_pods(key.namespace, labels.workers_of(key.name))
        self._pods.replace(key, found, self._now())

    def _own_pods(self, key: Key, runner: Json) -> tuple[WorkerPod, ...]:
        return tuple(pod for pod in self._pods.of(key) if pod.owner_uid == runner["metadata"]["uid"])

    async def _observe(self, key: Key, runner: Json, spec: RunnerSpec) -> tuple[Observation, status.Problem | None]:
        """See pods, then the queue; count the queue twice where the first count does not settle it."""
        pods = self._own_pods(key, runner)
        reading = await self._depths.read(key, runner)
        previous = runner.get("status", {})
        start = status.learn_start_seconds(previous.get("startSeconds"), self._pods.take_start(key))
        seen = Observation(
            pods=pods,
            depth=reading.depth,
            template=template_hash(runner["spec"]),
            failures=parse_failures(previous),
            broker_down_since=reading.down_since,
            start_seconds=start,
        )
        seen = replace(seen, failures=assess(spec, seen, self._now()))
        if decide(spec, seen, self._now()).recount:
            await asyncio.sleep(RECOUNT_SECONDS)
            seen = await self._observe_again(key, runner, seen, recount=True)
        return seen, reading.problem

    async def _observe_again(
        self, key: Key, runner: Json, before: Observation, *, recount: bool = False
    ) -> Observation:
        """See the pods that the cache has now, then the queue; a recount stays one, with a newer figure."""
        pods = self._own_pods(key, runner)
        depth = (await self._depths.read(key, runner)).depth
        if depth and before.depth and (recount or before.depth.recount is not None):
            depth = QueueDepth(before.depth.count, depth.peak, recount=depth.count)
        seen = replace(before, pods=pods, depth=depth)
        return replace(seen, failures=assess(parse_spec(runner["spec"]), seen, self._now()))

    async def _act(self, key: Key, runner: Json, decision: Decision, seen: Observation) -> Outcome:
        names = {pod.name for pod in self._pods.of(key)}
        outcome = await self._actuator.apply(key, runner, decision, names)
        for pod in outcome.pods:
            self._pods.put(key, pod)
        for error in (*outcome.errors, *filter(None, [outcome.refusal])):
            log.warning("%s/%s: %s", *key, error)
        if outcome.acted:
            await self._tell(runner, decision, outcome, seen)
        return outcome

    async def _tell(self, runner: Json, decision: Decision, outcome: Outcome, seen: Observation) -> None:
        """Say in the log and in events what was done; an event that can't be written is only logged."""
        depth = seen.depth.count if seen.depth else None
        why = decision.create.reason if decision.create else decision.reason
        for reason, action, note in events.describe(outcome.created, why, outcome.done, depth):
            log.info("%s/%s: %s: %s", runner["metadata"]["namespace"], runner["metadata"]["name"], reason, note)
            body = events.event(runner, self._now(), reason, note, action=action, instance=self._instance)
            try:
                await self._kube.create_event(runner["metadata"]["namespace"], body)
            except KubeError as error:
                log.warning("event not written: %s", error)

    async def _report(
        self,
        key: Key,
        runner: Json,
        facts: status.Facts,
        seen: Observation,
        decision: Decision,
        *,
        scaled: bool,
    ) -> None:
        """Write the status if it says something new."""
        now, spec = self._now(), parse_spec(runner["spec"])
        report = status.Report(
            key=key,
            generation=runner["metadata"]["generation"],
            spec=spec,
            pool=classify(spec, seen, now),
            decision=decision,
            depth=seen.depth,
            facts=facts,
            scaled=scaled,
            failures=seen.failures,
            trouble=trouble_of(seen),
            start_seconds=seen.start_seconds,
        )
        previous = runner.get("status", {})
        self.table[key] = current = status.compute_status(previous, report, now)
        memory = self._memory[key]
        patch = status.patch_for(previous, current, now - memory.status_written)
        if patch is None or now < memory.status_not_before:
            return
        try:
            self._runners.put(await self._kube.patch_runner_status(key.namespace, key.name, patch))
        except NotFound:
            return  # deleted meanwhile; the watch says so
        except KubeError as error:  # scaling goes on without it
            log.warning("%s/%s: status not written: %s", *key, error)
            memory.status_not_before = now + RETRY_SECONDS
        else:
            memory.status_written = now

    def _forget(self, key: Key) -> None:
        self._memory.pop(key, None)
        self.table.pop(key, None)
        self._pods.forget(key)
        self._depths.forget(key)
        self._creation.forget(key)
