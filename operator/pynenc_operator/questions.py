"""What is asked of a backend beside connecting to it: counts, and whose work it is. Answered in a thread.

Each question is a value that is called with pynenc's broker. How deep a queue is, pynenc's own
`count_invocations` says on every backend but Redis, where the keys are read. The rest is read from Redis as
pynenc-redis keeps it, and from MongoDB as pynenc-mongo does; other backends can't tell it cheaply, and answer None.
"""

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from pynenc_operator import redisqueues
from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.model import QueueMark
from pynenc_operator.redisqueues import Queues
from pynenc_worker import queuekeys

# Statuses in which an invocation is in a runner's hands.
_HELD: Final = ("pending", "running", "pending_recovery", "running_recovery")
_MOST_HEARTBEATS: Final = 1000
# Backends whose records are read here: who holds what, and what stands in a queue, without taking it.
SHOW_RECORDS: Final = frozenset({BackendKind.REDIS, BackendKind.MONGODB})


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
        """Count through pynenc's broker; on Redis by its keys, in one round trip with the look at its entries."""
        if not backend.has_redis_queues:
            return QueueCount(_counted(broker, backend))
        with broker.client.pipeline(transaction=False) as pipe:
            self.put(pipe, broker, backend)
            return self.answer(pipe.execute(raise_on_error=False), broker, backend)

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
        for result in (*queued, *(done if isinstance(done, list) else (done,))):
            if isinstance(result, Exception):
                raise result
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
        if backend.kind not in SHOW_RECORDS:
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
class CountHeld:
    """How many invocations are in some runner's hands, as far as the backend knows."""

    def __call__(self, broker: Any, backend: Backend) -> int | None:  # noqa: ANN401
        """Count the members of the plugin's own sets, or by its index."""
        if backend.kind not in SHOW_RECORDS:
            return None
        if backend.kind is BackendKind.MONGODB:
            return int(broker.count_with_status(_HELD))
        key = _orchestrators(broker, backend)
        with broker.client.pipeline(transaction=False) as pipe:
            for status in _HELD:
                pipe.scard(key.status_to_invocations(status))
            return sum(map(int, pipe.execute()))


@dataclass(frozen=True, slots=True)
class ReadHeartbeats:
    """The heartbeats of all runners, or of those named; one that ended in order has none."""

    runner_ids: tuple[str, ...] = ()

    def __call__(self, broker: Any, backend: Backend) -> tuple[Heartbeat, ...] | None:  # noqa: ANN401
        """Read the plugin's own records."""
        if backend.kind not in SHOW_RECORDS:
            return None
        if backend.kind is BackendKind.MONGODB:
            return tuple(Heartbeat(*found) for found in broker.heartbeats(self.runner_ids, _MOST_HEARTBEATS))
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
