"""What an operator asks of the backend, answered by the simulated broker as Redis would, or another backend."""

import asyncio
from typing import Any

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

    def __init__(self, run: Run, broker: Broker) -> None:
        super().__init__()
        self._run = run
        self._broker = broker

    async def ask(self, backend: Backend, question: Any) -> Any:  # noqa: ARG002 - there is one
        if isinstance(question, OldestEntry) or question == CountInvocations(STATUSES):
            return None  # nothing is decided by it
        await asyncio.sleep(self._run.draw(self._run.timing.count))
        if self._broker.down:
            await asyncio.sleep(DEADLINE_SECONDS)
            raise BrokerError(BrokerErrorKind.UNREACHABLE, "down")
        shows_entries = self._broker.shows_entries
        match question:
            case CountQueue():
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
