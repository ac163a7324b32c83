"""How deep a runner's queue is: its backend from the spec, counted by the broker, with what outlives a count.

A count that can't be had is unknown, never zero: the reading then carries the problem, for the
runner's conditions, and since when the broker has been out of reach.
"""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.broker import BackendSource, Question
from pynenc_operator.conditions import Problem
from pynenc_operator.credentials import Credentials, CredentialsError
from pynenc_operator.model import Key, QueueDepth, QueueMark
from pynenc_operator.questions import (
    SHOW_ENTRIES,
    TELL_WHO_HOLDS,
    CountHeld,
    CountQueue,
    Heartbeat,
    OldestEntry,
    QueueCount,
    ReadHeartbeats,
)
from pynenc_operator.rabbitmq import place_of

type Json = dict[str, Any]

# Scaling down looks at the highest count of this time: a pod that has just taken work still looks like a slot.
PEAK_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a queue: `depth` None is unknown, and `problem` says why."""

    depth: QueueDepth | None = None
    problem: Problem | None = None
    down_since: float | None = None


@dataclass(slots=True)
class DepthWindow:
    """The counts of the last PEAK_SECONDS of one queue, and since when there have been none."""

    counts: deque[tuple[float, int]] = field(default_factory=deque)
    down_since: float | None = None
    told: Problem | None = None  # of the present outage
    waiting_since: float | None = None
    fell_at: float | None = None
    marks: tuple[QueueMark, ...] = ()

    def next_question(self) -> CountQueue:
        """How many wait, and how many of those that did at the last count."""
        return CountQueue(self.marks)

    def counted(self, now: float, count: QueueCount) -> QueueDepth:
        """Take a count in. What has waited at no two counts in a row has met a worker that takes work."""
        self.down_since = self.told = None
        self.marks = count.marks
        if self.counts and count.waiting < self.counts[-1][1]:
            self.fell_at = now
        if not count.waiting:
            self.waiting_since = None
        elif self.waiting_since is None or count.stayed == 0:
            self.waiting_since = now
        return self._depth(now, count.waiting)

    def _depth(self, now: float, count: int) -> QueueDepth:
        self.counts.append((now, count))
        while self.counts[0][0] < now - PEAK_SECONDS and len(self.counts) > 1:
            self.counts.popleft()
        peak = max(seen for at, seen in self.counts if at >= now - PEAK_SECONDS)
        return QueueDepth(count, peak, marks=self.marks, waiting_since=self.waiting_since, fell_at=self.fell_at)

    def failed(self, now: float) -> float:
        """Take a failed count in; since when counts have failed."""
        self.counts.clear()
        self.waiting_since, self.marks = None, ()
        if self.down_since is None:
            self.down_since = now
        return self.down_since

    def tell(self, problem: Problem) -> Problem:
        """What to say of a failed count.

        A client that tries several times gets a refusal in one look and is too slow in the next: still one outage,
        and a condition that went to and fro with it would be written every few seconds.
        """
        wavering = problem.reason == BrokerErrorKind.TIMEOUT
        if self.told is None or not (wavering and self.told.reason == BrokerErrorKind.UNREACHABLE):
            self.told = problem
        return self.told


class QueueDepths:
    """The queues of all runners."""

    def __init__(self, source: BackendSource, credentials: Credentials, now: Callable[[], float]) -> None:
        self._source = source
        self._credentials = credentials
        self._now = now
        self._windows: dict[Key, DepthWindow] = {}
        self._backends: dict[Key, Backend] = {}
        self._sharers: dict[Hashable, set[Key]] = {}  # by queue

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
            self._remember(key, backend)
            count = await self._source.ask(backend, question)
        except CredentialsError as error:
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
        return await self._ask_rest(key, CountHeld())

    async def heartbeats(self, key: Key, *runner_ids: str) -> tuple[Heartbeat, ...] | None:
        """Heartbeats of an app's runners, all or those named; None where that can't be told."""
        return await self._ask_rest(key, ReadHeartbeats(runner_ids))

    async def oldest(self, key: Key) -> float | None:
        """Since when the entry at the head of a runner's queue has been ready to run; None where that can't be told."""
        backend = self._backends.get(key)
        return await self._ask(key, backend, OldestEntry()) if backend else None

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
            other for other in self._sharers[_queue(own)] if other != key and _overlap(self._backends[other], own)
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
        return {key for key in self._sharers.get(_queue(backend), ()) if self._backends[key] == backend}

    def refresh(self, key: Key) -> None:
        """Have the backend's Secret read again."""
        self._credentials.refresh(key)

    def forget(self, key: Key) -> None:
        """Drop a runner that is gone."""
        self._windows.pop(key, None)
        self._credentials.forget(key)
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

    def _remember(self, key: Key, backend: Backend) -> None:
        if self._backends.get(key) != backend:
            self._leave(key)
            self._backends[key] = backend
            self._sharers.setdefault(_queue(backend), set()).add(key)

    def _leave(self, key: Key) -> None:
        backend = self._backends.pop(key, None)
        if backend is None:
            return
        sharers = self._sharers[_queue(backend)]
        sharers.discard(key)
        if not sharers:
            del self._sharers[_queue(backend)]


def _queue(backend: Backend) -> Hashable:
    """What runners of one queue have in common, whatever queues of it they name, and on RabbitMQ whoever they are."""
    if backend.kind is BackendKind.RABBITMQ:
        return place_of(backend)
    return replace(backend, queues=())


def _overlap(one: Backend, other: Backend) -> bool:
    return not one.queues or not other.queues or bool(set(one.queues) & set(other.queues))
