"""What is asked of a backend beside connecting to it: counts, and whose work it is. Answered in a thread.

Each question is a value that is called with pynenc's broker, or with what counts in its place. How deep a queue is,
`count_invocations` says on every backend but Redis, where the keys are read. The rest is read from Redis as
pynenc-redis keeps it, from MongoDB as pynenc-mongo does, and in part from pynenc's SQLite files; who can't tell it
cheaply answers None.
"""

import inspect
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from pynenc_operator import redisqueues
from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.model import QueueMark
from pynenc_operator.redisqueues import Queues
from pynenc_worker import queuekeys

# Statuses in which an invocation is in a runner's hands.
HELD: Final = ("pending", "running", "pending_recovery", "running_recovery")
# All that both lines of pynenc have.
STATUSES: Final = (
    *("registered", "rerouted", "retry", "concurrency_controlled"),
    *(*HELD, "paused", "killed"),
    *("success", "failed", "concurrency_controlled_final"),
)
_MOST_HEARTBEATS: Final = 1000
# Backends that can tell cheaply who holds what; those that show what stands in a queue without taking it; and those
# that count the ended, of which there are most, cheaply too.
TELL_WHO_HOLDS: Final = frozenset({BackendKind.REDIS, BackendKind.SQLITE, BackendKind.MONGODB})
SHOW_ENTRIES: Final = frozenset({BackendKind.REDIS, BackendKind.MONGODB})
COUNT_THE_ENDED: Final = frozenset({BackendKind.REDIS, BackendKind.SQLITE})


@dataclass(frozen=True, slots=True)
class QueueCount:
    """How many invocations wait; where the backend shows its entries, how far they reach, and how many have stayed."""

    waiting: int
    marks: tuple[QueueMark, ...] = ()
    stayed: int | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """When a runner last said that it lives, by the clock of whoever wrote it."""

    runner_id: str
    last: float


@dataclass(frozen=True, slots=True)
class CountQueue:
    """How many invocations wait in a runner's queues, and how many of those have stayed that an earlier count saw.

    A queue is first in, first out: what stands in front of the entry that was the newest then was there, too.
    `since`: the marks of that count; `known`: queues that came into use after it.
    """

    since: tuple[QueueMark, ...] = ()
    known: tuple[str, ...] = ()

    def __call__(self, broker: Any, backend: Backend) -> QueueCount:  # noqa: ANN401 - of either line of pynenc
        """Count as pynenc's broker does; on Redis by its keys, in one round trip with the look at its entries."""
        if not backend.has_redis_queues:
            return QueueCount(_counted(broker, backend))
        return self.answer(_asked_alone(self, broker, backend), broker, backend)

    def put(self, pipe: Any, broker: Any, backend: Backend) -> int:  # noqa: ANN401
        """Put a transaction for this into a pipeline; of how many commands it is."""
        # One of its own: a pipeline's would take in the commands of all apps, and be refused for one of them.
        commands = [("MULTI",), *self._queues(broker, backend).counting(self._marks), ("EXEC",)]
        for command in commands:
            pipe.execute_command(*command)
        return len(commands)

    def answer(self, results: Sequence[Any], broker: Any, backend: Backend) -> QueueCount:  # noqa: ANN401
        """What that transaction came to; an error of any of its commands is raised.

        A queue that was not known is counted with another round trip, once.
        """
        *queued, done = results
        _raise_any((*queued, *(done if isinstance(done, list) else (done,))))
        queues = self._queues(broker, backend)
        if unknown := queues.unknown_by(done):
            return replace(self, known=(*self.known, *unknown))(broker, backend)
        marks, stayed = queues.marks(done, self._marks)
        waiting = sum(mark.listed + mark.prioritized for mark in marks)
        return QueueCount(waiting, tuple(marks), stayed if self.since else None)

    @property
    def _marks(self) -> dict[str, QueueMark]:
        return {mark.queue: mark for mark in self.since}

    def _queues(self, broker: Any, backend: Backend) -> Queues:  # noqa: ANN401
        return Queues.of(broker.key.prefix, backend.queues, (*self._marks, *self.known))


def _counted(broker: Any, backend: Backend) -> int:  # noqa: ANN401
    """What pynenc's own `count_invocations` says."""
    if not backend.queues:
        return int(broker.count_invocations())
    if not inspect.signature(broker.count_invocations).parameters:
        cause = f"spec.queues works with Redis and SQLite, not with {backend.kind}; leave it out"
        raise BrokerError(BrokerErrorKind.UNSUPPORTED, cause)
    return int(broker.count_invocations(backend.queues))


@dataclass(frozen=True, slots=True)
class OldestEntry:
    """Since when the oldest of the queues' heads has been ready to run, by the clock of whoever put it there."""

    def __call__(self, broker: Any, backend: Backend) -> float | None:  # noqa: ANN401
        """Read each queue's head and its status record: a few reads by key, however long the queues are."""
        if backend.kind not in SHOW_ENTRIES:
            return None
        if backend.kind is BackendKind.MONGODB:
            return broker.head_ready_since()  # type: ignore[no-any-return]
        queues = Queues.of(broker.key.prefix, backend.queues, ())
        if queues.all:
            names = broker.client.srandmember(queuekeys.names(queues.prefix), queuekeys.MOST_QUEUES + 1)
            known = queues.unknown(names)
            queues = Queues.of(queues.prefix, (), known)
        key = _orchestrators(broker, backend)
        heads = [key.invocation_to_status(head) for head in redisqueues.heads(broker.client, queues)]
        records = broker.client.mget(heads) if heads else ()
        return min(map(_ready_since, filter(None, records)), default=None)


def _ready_since(record: bytes) -> float:
    ready = datetime.fromisoformat(json.loads(record)["timestamp"])
    return (ready if ready.tzinfo else ready.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True, slots=True)
class CountInvocations:
    """How many of an app's invocations are in each of these statuses, whatever their queue; None: it can't be told."""

    statuses: tuple[str, ...]

    def __call__(self, broker: Any, backend: Backend) -> dict[str, int] | None:  # noqa: ANN401
        """Count the members of the plugin's own sets; in SQLite and MongoDB by the index of the status."""
        if backend.kind not in TELL_WHO_HOLDS:
            return None
        if backend.kind is not BackendKind.REDIS:
            counts: dict[str, int] = broker.count_statuses(self.statuses)
            return counts
        return self.answer(_asked_alone(self, broker, backend), broker, backend)

    def put(self, pipe: Any, broker: Any, backend: Backend) -> int:  # noqa: ANN401
        """Put a command for each status into a pipeline; how many."""
        key = _orchestrators(broker, backend)
        for status in self.statuses:
            pipe.scard(key.status_to_invocations(status))
        return len(self.statuses)

    def answer(self, results: Sequence[Any], _broker: Any, _backend: Backend) -> dict[str, int]:  # noqa: ANN401
        """What those commands came to; an error of any of them is raised."""
        _raise_any(results)
        return dict(zip(self.statuses, map(int, results), strict=True))


# Questions about a Redis that are put into one pipeline with those about other apps.
type Pipelined = CountQueue | CountInvocations
PIPELINED: Final = (CountQueue, CountInvocations)


def _asked_alone(question: Pipelined, broker: Any, backend: Backend) -> list[Any]:  # noqa: ANN401
    """What a pipeline of this question's commands comes to, with errors in place of results."""
    with broker.client.pipeline(transaction=False) as pipe:
        question.put(pipe, broker, backend)
        results: list[Any] = pipe.execute(raise_on_error=False)
        return results


def _raise_any(results: Iterable[Any]) -> None:
    for result in results:
        if isinstance(result, Exception):
            raise result


@dataclass(frozen=True, slots=True)
class ReadHeartbeats:
    """The heartbeats of all runners, or of those named; one that ended in order has none."""

    runner_ids: tuple[str, ...] = ()

    def __call__(self, broker: Any, backend: Backend) -> tuple[Heartbeat, ...] | None:  # noqa: ANN401
        """Read the plugin's own records, or pynenc's in SQLite."""
        if backend.kind not in TELL_WHO_HOLDS:
            return None
        if backend.kind is not BackendKind.REDIS:
            return tuple(Heartbeat(*beat) for beat in broker.last_heartbeats(self.runner_ids, _MOST_HEARTBEATS))
        key = _orchestrators(broker, backend)
        ids = self.runner_ids or tuple(
            raw.decode() for raw in broker.client.zrevrange(key.runner_heartbeats(), 0, _MOST_HEARTBEATS - 1)
        )
        with broker.client.pipeline(transaction=False) as pipe:
            for runner_id in ids:
                pipe.hget(key.runner_heartbeat(runner_id), "last_heartbeat")
            found = zip(ids, pipe.execute(), strict=True)
        return tuple(Heartbeat(runner_id, float(last)) for runner_id, last in found if last is not None)


def _orchestrators(broker: Any, backend: Backend) -> Any:  # noqa: ANN401
    """The plugin's names for what its orchestrator keeps."""
    return type(broker.key)(backend.app_id, "orchestrator")
