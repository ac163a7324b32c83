"""What an operator asks of the backend, answered by the simulated broker as Redis would, or another backend."""

import asyncio
from collections.abc import Callable
from typing import Any

from pynenc_operator.arrivals import LISTEN_SECONDS
from pynenc_operator.backends import Backend, BrokerError, BrokerErrorKind
from pynenc_operator.broker import DEADLINE_SECONDS, BackendSource
from pynenc_operator.model import QueueMark
from pynenc_operator.questions import (
    STATUSES,
    CountInvocations,
    CountQueue,
    Heartbeat,
    OldestEntry,
    QueueCount,
    ReadHeartbeats,
)
from tests.unit.simulation.run import Run
from tests.unit.simulation.taskqueue import Broker


class SimulatedSource(BackendSource):
    """One operator's connection to the broker."""

    def __init__(self, run: Run, broker: Broker, arrived: Callable[[], None]) -> None:
        super().__init__()
        self._run = run
        self._broker = broker
        self._arrived = arrived

    def hears(self, backend: Backend) -> bool:  # noqa: ARG002 - there is one
        return self._tell in self._broker.listeners

    def _listen(self) -> None:
        """As the real listener: reads the length first, and is told of the next change, or that the server is gone."""
        if self._broker.queue:
            self._tell()
        elif not self._broker.down and self._tell not in self._broker.listeners:
            self._broker.listeners.append(self._tell)

    def _tell(self) -> None:
        self._run.after(self._run.timing.count, self._arrived)

    async def ask(self, backend: Backend, question: Any) -> Any:
        if isinstance(question, OldestEntry) or question == CountInvocations(STATUSES):
            return None  # nothing is decided by it
        await asyncio.sleep(self._run.draw(self._run.timing.count))
        if self._broker.down:
            await asyncio.sleep(DEADLINE_SECONDS)
            raise BrokerError(BrokerErrorKind.UNREACHABLE, "down")
        shows_entries = self._broker.shows_entries
        match question:
            case CountQueue():
                if self._broker.tells and not self._broker.queue and not self.hears(backend):
                    self._run.after((0.0, LISTEN_SECONDS), self._listen)
                return self._count(question) if shows_entries else QueueCount(len(self._broker.queue))
            case CountInvocations():
                return {"running": self._broker.held} if shows_entries else None
            case ReadHeartbeats():
                return self._heartbeats(question) if shows_entries else None
        raise NotImplementedError(question)

    def _count(self, question: CountQueue) -> QueueCount:
        """Count as the real question does with LLEN, LINDEX and LPOS."""
        ids = [str(one.number) for one in self._broker.queue]
        marks = (QueueMark("default", ids[-1] if ids else None, len(ids)),)
        if not question.since:
            return QueueCount(len(ids), marks)
        (mark,) = question.since
        front = ids[: max(1, mark.listed)]
        return QueueCount(len(ids), marks, front.index(mark.newest) + 1 if mark.newest in front else 0)

    def _heartbeats(self, question: ReadHeartbeats) -> tuple[Heartbeat, ...]:
        beats = {runner_id: self._run.now() for runner_id in self._broker.living} | self._broker.last_beats
        return tuple(Heartbeat(one, beats[one]) for one in question.runner_ids or beats if one in beats)
