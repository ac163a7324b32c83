"""What is asked of a backend beside connecting to it: counts, and whose work it is. Answered in a thread.

Each question is a value that is called with pynenc's broker. How deep a queue is, pynenc's own
`count_invocations` says on every backend. The rest is read from Redis as pynenc-redis keeps it, and from MongoDB
as pynenc-mongo does; other backends can't tell it cheaply, and answer None.
"""

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind

# Statuses in which an invocation is in a runner's hands.
_HELD: Final = ("pending", "running", "pending_recovery", "running_recovery")
_MOST_HEARTBEATS: Final = 1000
# Redis looks through this many entries in a fraction of a millisecond.
_MOST_LOOKED_AT: Final = 10_000
# Backends that can tell cheaply who holds what.
TELL_WHO_HOLDS: Final = frozenset({BackendKind.REDIS, BackendKind.MONGODB})


@dataclass(frozen=True, slots=True)
class QueueCount:
    """How many invocations wait; where the backend shows its entries, the newest one, and how many stayed since."""

    waiting: int
    newest: str | None = None
    stayed: int | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """When a runner last said that it lives, by the clock of whoever wrote it."""

    runner_id: str
    last: float


@dataclass(frozen=True, slots=True)
class CountQueue:
    """How many invocations wait. `since`: the newest entry of an earlier count, of `upto` entries.

    A queue is first in, first out: what stands in front of that entry has stood there at that count.
    """

    since: str | None = None
    upto: int = 0

    def __call__(self, broker: Any, backend: Backend) -> QueueCount:  # noqa: ANN401 - of either line of pynenc
        """Count through pynenc's broker, and on Redis in one round trip with the look at its entries."""
        if backend.queues:
            if not inspect.signature(broker.count_invocations).parameters:
                raise BrokerError(BrokerErrorKind.UNSUPPORTED, "spec.queues needs pynenc 0.4; leave it out")
            return QueueCount(int(broker.count_invocations(list(backend.queues))))
        if not backend.is_a_list:
            return QueueCount(int(broker.count_invocations()))
        with broker.client.pipeline(transaction=False) as pipe:
            self.put(pipe, broker)
            return self.answer(pipe.execute(raise_on_error=False))

    def put(self, pipe: Any, broker: Any) -> int:  # noqa: ANN401
        """Put a transaction for this into a pipeline; of how many commands it is."""
        key = broker.key.default_queue()
        commands: list[tuple[Any, ...]] = [("LLEN", key), ("LINDEX", key, -1)]
        if self.since is not None:
            most = min(max(1, self.upto), _MOST_LOOKED_AT)
            commands.append(("LPOS", key, self.since.encode(errors="surrogateescape"), "MAXLEN", most))
        # One of its own: a pipeline's would take in the commands of all apps, and be refused for one of them.
        commands = [("MULTI",), *commands, ("EXEC",)]
        for command in commands:
            pipe.execute_command(*command)
        return len(commands)

    def answer(self, results: Sequence[Any]) -> QueueCount:
        """What that transaction came to; an error of any of its commands is raised."""
        *queued, done = results
        for result in (*queued, *(done if isinstance(done, list) else (done,))):
            if isinstance(result, Exception):
                raise result
        waiting, newest, *position = done
        stayed = None if not position else self._stayed(position[0], int(waiting))
        return QueueCount(int(waiting), newest.decode(errors="surrogateescape") if newest else None, stayed)

    def _stayed(self, position: int | None, waiting: int) -> int:
        """How many have stayed; of more than are looked at, as many as could have."""
        if position is not None:
            return int(position) + 1
        return min(self.upto, waiting) if self.upto > _MOST_LOOKED_AT else 0


@dataclass(frozen=True, slots=True)
class OldestEntry:
    """Since when the entry at the head of the queue has been ready to run, by the clock of whoever put it there."""

    def __call__(self, broker: Any, backend: Backend) -> float | None:  # noqa: ANN401
        """Read the head and its status record: two reads by key, however long the queue is."""
        if backend.queues or backend.kind not in TELL_WHO_HOLDS:
            return None
        if backend.kind is BackendKind.MONGODB:
            return broker.head_ready_since()  # type: ignore[no-any-return]
        head = broker.client.lindex(broker.key.default_queue(), 0)
        if head is None:
            return None
        record = broker.client.get(_orchestrators(broker, backend).invocation_to_status(head.decode()))
        if record is None:
            return None
        ready = datetime.fromisoformat(json.loads(record)["timestamp"])
        return (ready if ready.tzinfo else ready.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True, slots=True)
class CountHeld:
    """How many invocations are in some runner's hands, as far as the backend knows."""

    def __call__(self, broker: Any, backend: Backend) -> int | None:  # noqa: ANN401
        """Count the members of the plugin's own sets, or by its index."""
        if backend.kind not in TELL_WHO_HOLDS:
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
        if backend.kind not in TELL_WHO_HOLDS:
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
