"""Carries a decision out: takes drains back, names the dead, creates with a slow start, asks pods to leave, deletes.

Every write is safe against a stale decision and a second operator: names are the lowest free ordinals,
so that a double create is a conflict; patches and deletions carry the resourceVersion that was decided
on. A conflict is no error: the world has moved, and the next look decides on what it is now.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import batched, count
from typing import Any, Final

from pynenc_operator import labels
from pynenc_operator.conditions import Problem
from pynenc_operator.decision import CancelDrain, Decision, Delete, Drain, Mark, Name, Step
from pynenc_operator.kube import AlreadyExists, Conflict, Kube, KubeError, NotFound
from pynenc_operator.model import Key
from pynenc_operator.podspec import PodBuilder, pod_name
from pynenc_worker import contract

type Json = dict[str, Any]

# Of one runner in one look, some seconds' worth: its author may change the spec meanwhile, its queue become empty.
MOST_CREATED: Final = 250
MOST_SECONDS: Final = 5.0  # of creating, and of each other kind of step
# Fewer than there are places for writes: one runner whose writes take long, by a webhook say, leaves some to others.
MOST_AT_A_TIME: Final = 10
# A quota that others write to at the same time makes a create a conflict, which has made nothing: it is sent again.
CONFLICT_PAUSES: Final = (0.05, 0.2)


@dataclass(slots=True)
class Outcome:
    """What came of a decision. `stale`: something had changed meanwhile, look again at once."""

    pods: list[Json] = field(default_factory=list)  # as the answers to the writes show them
    created: list[str] = field(default_factory=list)
    done: list[Step] = field(default_factory=list)
    stale: bool = False
    more: bool = False  # what was decided was too much for one look
    name_taken: Problem | None = None
    refusal: KubeError | None = None  # what stopped the creation of pods
    errors: list[KubeError] = field(default_factory=list)

    @property
    def acted(self) -> bool:
        """Whether anything has been written."""
        return bool(self.created or self.done)


class Actuator:
    """Writes to the pods of runners; one decision of one runner at a time."""

    def __init__(self, kube: Kube, build_pod: PodBuilder) -> None:
        self._kube = kube
        self._build_pod = build_pod
        self._creating = 0  # runners

    async def apply(self, key: Key, runner: Json, decision: Decision, names_in_use: Iterable[str]) -> Outcome:
        """Carry `decision` out. Errors of one pod do not keep the others from their step."""
        outcome = Outcome()
        for before in (decision.cancels, decision.recovery):
            await self._all(key, before, outcome)
        if decision.create:
            await self._create(key, runner, decision.create.count, set(names_in_use), outcome)
        for after in (decision.drains, decision.deletes):
            await self._all(key, after, outcome)
        return outcome

    async def _all(self, key: Key, steps: Sequence[Step], outcome: Outcome) -> None:
        results: list[tuple[Step, Json | BaseException]] = []
        clock = asyncio.get_running_loop().time
        ends = clock() + MOST_SECONDS
        for some in batched(steps, MOST_AT_A_TIME):
            if results and clock() > ends:
                outcome.more = True
                break
            answers = await asyncio.gather(*(self._take(key, step) for step in some), return_exceptions=True)
            results += zip(some, answers, strict=True)
        for step, result in results:
            if isinstance(result, Conflict | NotFound):
                outcome.stale = True
            elif isinstance(result, KubeError):
                outcome.errors.append(result)
            elif isinstance(result, BaseException):
                raise result
            else:
                outcome.done.append(step)
                if not isinstance(step, Delete):
                    outcome.pods.append(result)

    async def _take(self, key: Key, step: Step) -> Json:
        pod = step.pod
        if isinstance(step, Delete):
            return await self._kube.delete_pod(key.namespace, pod.name, pod.uid, pod.resource_version, step.grace)
        return await self._kube.patch_pod_annotations(key.namespace, pod.name, pod.resource_version, _notes(step))

    async def _create(self, key: Key, runner: Json, wanted: int, in_use: set[str], outcome: Outcome) -> None:
        """Create one at first, and one more at a time with each that is made; none after one that failed.

        So a refusal is met once, not N times. Runners that create at the same time share what may be under way, so
        that nobody waits long for a turn.
        """
        if wanted > MOST_CREATED:
            wanted, outcome.more = MOST_CREATED, True
        free = (name for name in _ordinals(key.name) if name not in in_use)
        made: dict[str, Json | None] = {}  # by name, in the order in which they were begun
        under_way: set[asyncio.Task[bool]] = set()
        at_a_time = 1
        self._creating += 1
        clock = asyncio.get_running_loop().time
        ends = clock() + MOST_SECONDS

        async def create(name: str) -> bool:
            made[name] = await self._create_one(key, runner, name, outcome)
            return made[name] is not None

        try:
            while True:
                while wanted > 0 and len(under_way) < at_a_time and not (outcome.refusal or outcome.stale):
                    name, wanted = next(free), wanted - 1
                    made[name] = None
                    under_way.add(asyncio.create_task(create(name)))
                if not under_way:
                    break
                done, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                new = sum(task.result() for task in done)
                at_a_time = min(at_a_time + new, max(1, MOST_AT_A_TIME // self._creating))
                wanted += len(done) - new  # somebody else's name: the next one
                if wanted and clock() > ends:
                    wanted, outcome.more = 0, True
        finally:
            self._creating -= 1
            for task in under_way:
                task.cancel()
        outcome.pods += [pod for pod in made.values() if pod is not None]
        outcome.created += [name for name, pod in made.items() if pod is not None]

    async def _create_one(self, key: Key, runner: Json, name: str, outcome: Outcome) -> Json | None:
        body = self._build_pod(runner, name)
        try:
            for pause in CONFLICT_PAUSES:
                with contextlib.suppress(Conflict):
                    return await self._kube.create_pod(key.namespace, body)
                await asyncio.sleep(pause)
            return await self._kube.create_pod(key.namespace, body)
        except AlreadyExists:
            await self._name_exists(key, runner, name, outcome)
        except KubeError as error:
            outcome.refusal = error
        return None

    async def _name_exists(self, key: Key, runner: Json, name: str, outcome: Outcome) -> None:
        """Ours means that another decision was faster: look again. Somebody else's: this ordinal is taken."""
        try:
            pod = await self._kube.get_pod(key.namespace, name)
        except NotFound:
            outcome.stale = True
            return
        except KubeError as error:
            outcome.refusal = error
            return
        meta = pod["metadata"]
        ours = any(
            o.get("controller") and o["uid"] == runner["metadata"]["uid"] for o in meta.get("ownerReferences", ())
        )
        if ours and meta.get("labels", {}).get(labels.RUNNER) == key.name:
            outcome.stale = True
            return
        outcome.name_taken = Problem(
            "ForeignPod",
            f"pod {name} is not this runner's, or has lost its labels: the next free number is used; remove that pod",
        )


def _notes(step: CancelDrain | Drain | Name | Mark) -> dict[str, str | None]:
    """The annotations that a step sets; None takes one off."""
    match step:
        case CancelDrain():
            return {contract.DRAIN_REQUEST: None}
        case Drain():
            return {contract.DRAIN_REQUEST: step.request.id}
        case Name():
            return {contract.RECOVER_RUNNERS: " ".join(step.runner_ids) or None}
        case Mark():
            return {contract.RECOVERED_BY: step.by}


def _ordinals(runner: str) -> Iterator[str]:
    return (pod_name(runner, number) for number in count())
