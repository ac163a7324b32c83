"""How deep a runner's queue is: its backend from the spec, counted by the broker, with what outlives a count.

A count that can't be had is unknown, never zero: the reading then carries the problem, for the
runner's conditions, and since when the broker has been out of reach.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.broker import BackendSource, Question
from pynenc_operator.conditions import Problem
from pynenc_operator.credentials import Credentials, CredentialsError
from pynenc_operator.depthwindow import DepthWindow
from pynenc_operator.invocationcounts import Counts, InvocationCounts
from pynenc_operator.model import Key, QueueDepth
from pynenc_operator.questions import (
    HELD,
    SHOW_ENTRIES,
    TELL_WHO_HOLDS,
    CountInvocations,
    CountQueue,
    Heartbeat,
    OldestEntry,
    ReadHeartbeats,
)
from pynenc_operator.queueplace import place_of

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a queue: `depth` None is unknown, and `problem` says why."""

    depth: QueueDepth | None = None
    problem: Problem | None = None
    down_since: float | None = None


class QueueDepths:
    """The queues of all runners."""

    def __init__(self, source: BackendSource, credentials: Credentials, now: Callable[[], float]) -> None:
        self._source = source
        self._credentials = credentials
        self._now = now
        self._windows: dict[Key, DepthWindow] = {}
        self._backends: dict[Key, Backend] = {}
        self._sharers: dict[Hashable, set[Key]] = {}  # by queue
        self._invocations = InvocationCounts(self._ask, now)

    async def read(self, key: Key, runner: Json, before: QueueDepth | None = None) -> Reading:
        """Count a runner's queue; with an earlier count of it, say too what has stayed since.

        A refused password makes the Secret be read again for the next count, and so does, less often, an outage.
        """
        window = self._windows.setdefault(key, DepthWindow())
        question = window.next_question()
        if before:
            question = CountQueue(before.marks)
        try:
            backend = await self._credentials.backend(key, runner)
            if self._remember(key, backend):  # so its client is there: both counts go together
                self._invocations.begin(key, backend.rest)
            count = await self._source.ask(backend, question)
        except CredentialsError as error:
            self._invocations.forget(key)
            problem = window.tell(Problem("CredentialsMissing", str(error)))
            return Reading(problem=problem, down_since=window.failed(self._now()))
        except BrokerError as error:
            self._refresh_after(key, error)
            problem = window.tell(Problem(str(error.kind), str(error)))
            return Reading(problem=problem, down_since=window.failed(self._now()))
        depth = window.counted(self._now(), count)
        if before is not None:
            stayed = 0 if before.count == 0 else count.stayed
            depth = replace(depth, count=before.count, marks=before.marks, recount=count.waiting, stayed=stayed)
        return Reading(depth=depth)

    async def held(self, key: Key) -> int | None:
        """How many invocations of a runner's app are in anybody's hands; None where that can't be told."""
        counts = await self._ask_rest(key, CountInvocations(HELD))
        return None if counts is None else sum(counts.values())

    async def heartbeats(self, key: Key, *runner_ids: str) -> tuple[Heartbeat, ...] | None:
        """Heartbeats of an app's runners, all or those named; None where that can't be told."""
        return await self._ask_rest(key, ReadHeartbeats(runner_ids))

    async def oldest(self, key: Key) -> float | None:
        """Since when the entry at the head of a runner's queue has been ready to run; None where that can't be told."""
        backend = self._backends.get(key)
        return await self._ask(key, backend, OldestEntry()) if backend else None

    async def invocations(self, key: Key) -> Counts | None:
        """How many of a runner's app are in each status, as they were last counted; None where that isn't known."""
        return await self._invocations.latest(key)

    def can_tell(self, key: Key) -> bool:
        """Whether this backend can tell of `held` and `heartbeats` at all; one not known yet may."""
        return key not in self._backends or self._backends[key].rest.kind in TELL_WHO_HOLDS

    def shows_entries(self, key: Key) -> bool:
        """Whether this backend can tell of `oldest` at all; one not known yet may."""
        return key not in self._backends or self._backends[key].kind in SHOW_ENTRIES

    def will_tell(self, key: Key) -> bool:
        """Whether the server tells at once when something comes into a runner's queue, which was empty."""
        return key in self._backends and self._source.hears(self._backends[key])

    def shared(self, key: Key) -> Problem | None:
        """What to say of a runner whose queue another one counts as its own, too: both would make pods for it."""
        own = self._backends.get(key)
        if own is None:
            return None
        others = [
            other for other in self._sharers[place_of(own)] if other != key and _overlap(self._backends[other], own)
        ]
        if not others:
            return None
        names = ", ".join("/".join(other) for other in sorted(others)[:3])
        if own.kind is BackendKind.RABBITMQ:
            return Problem(
                "SameQueuePrefix",
                f"{names} counts the same queue: each makes pods for all of it, and of two apps the workers take each "
                "other's tasks away; give each its own spec.backend.rabbitmq.queuePrefix, and its producers the same",
            )
        return Problem(
            "SameQueue",
            f"{names} counts the same queue, and each makes pods for all of it: give each its own appId, or its own "
            "spec.queues",
        )

    def counting(self, backend: Backend) -> set[Key]:
        """The runners that count this backend's queue."""
        return {key for key in self._sharers.get(place_of(backend), ()) if self._backends[key] == backend}

    def refresh(self, key: Key) -> None:
        """Have the backend's Secret read again."""
        self._credentials.refresh(key)

    def forget(self, key: Key) -> None:
        """Drop a runner that is gone."""
        self._windows.pop(key, None)
        self._credentials.forget(key)
        self._invocations.forget(key)
        self._leave(key)

    async def _ask_rest[T](self, key: Key, question: Question[T | None]) -> T | None:
        """The same of what holds all but the queue."""
        backend = self._backends.get(key)
        return await self._ask(key, backend.rest, question) if backend else None

    async def _ask[T](self, key: Key, backend: Backend, question: Question[T | None]) -> T | None:
        """An answer that nothing hangs on: None where there is none, for whatever cause."""
        try:
            return await self._source.ask(backend, question)
        except BrokerError as error:
            self._refresh_after(key, error)
            return None

    def _refresh_after(self, key: Key, error: BrokerError) -> None:
        """Have the Secret read again where another URL could change something."""
        if error.of_url:
            self._credentials.refresh(key, outage=error.kind is not BrokerErrorKind.AUTHENTICATION)

    def _remember(self, key: Key, backend: Backend) -> bool:
        """Take a runner's backend in; whether it was known."""
        if self._backends.get(key) == backend:
            return True
        self._leave(key)
        self._backends[key] = backend
        self._sharers.setdefault(place_of(backend), set()).add(key)
        return False

    def _leave(self, key: Key) -> None:
        backend = self._backends.pop(key, None)
        if backend is None:
            return
        place = place_of(backend)
        sharers = self._sharers[place]
        sharers.discard(key)
        if not sharers:
            del self._sharers[place]


def _overlap(one: Backend, other: Backend) -> bool:
    return not one.queues or not other.queues or bool(set(one.queues) & set(other.queues))
