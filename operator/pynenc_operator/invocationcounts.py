"""How many invocations of a runner's app are in each status, counted now and then: for metrics alone.

They are asked for beside the queue's count, and waited for when all is done: what is scaled never waits for them, and
on Redis both go in one round trip.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from pynenc_operator.backends import Backend
from pynenc_operator.model import Key
from pynenc_operator.questions import COUNT_THE_ENDED, STATUSES, CountInvocations

type Counts = dict[str, int]
# None where there is no answer; it raises nothing.
type Ask = Callable[[Key, Backend, CountInvocations], Coroutine[Any, Any, Counts | None]]

_QUESTION: Final = CountInvocations(STATUSES)
ASK_SECONDS: Final = 30.0  # how often Prometheus Operator has metrics read by default: nobody would see more


@dataclass(frozen=True, slots=True)
class _Asked:
    backend: Backend
    at: float
    counts: asyncio.Task[Counts | None]


class InvocationCounts:
    """The latest counts of each runner's app."""

    def __init__(self, ask: Ask, now: Callable[[], float]) -> None:
        self._ask = ask
        self._now = now
        self._asked: dict[Key, _Asked] = {}

    def begin(self, key: Key, backend: Backend) -> None:
        """Have the invocations of a backend's app counted, if it is time and it can tell cheaply."""
        last = self._asked.get(key)
        if last and last.backend == backend and self._now() - last.at < ASK_SECONDS:
            return
        self.forget(key)
        if backend.kind in COUNT_THE_ENDED:
            self._asked[key] = _Asked(backend, self._now(), asyncio.create_task(self._ask(key, backend, _QUESTION)))

    async def latest(self, key: Key) -> Counts | None:
        """By status; None where they were not asked for yet, or there was no answer."""
        asked = self._asked.get(key)
        return await asyncio.shield(asked.counts) if asked else None

    def forget(self, key: Key) -> None:
        """Drop a runner that is gone."""
        asked = self._asked.pop(key, None)
        if asked:
            asked.counts.cancel()
