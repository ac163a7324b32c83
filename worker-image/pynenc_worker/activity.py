"""What a worker says of itself, and when it says something else.

Pure: what is seen of the runner goes in, the report that should stand on the pod comes out, and time
is an argument. A report is made for a transition only. Short gaps between tasks are no transition:
each would cost two requests, and for the second after a task the operator would count an idle pod.
"""

from dataclasses import dataclass, field
from typing import Final

from pynenc_worker.contract import WorkerState

# Without a thread for this long, a worker is idle ...
IDLE_AFTER_SECONDS: Final = 1.0
# ... but for this long when it has been active for less than SHORT_SPELL_SECONDS.
IDLE_AFTER_SHORT_SPELL_SECONDS: Final = 5.0
SHORT_SPELL_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Observation:
    """What the runner does at one moment; times are of the monotonic clock, in seconds."""

    live: int  # threads alive, those that wait for sub-results included
    holding: bool  # an invocation was taken, or is being taken, and has no thread yet
    started: int  # threads started so far
    last_ended: float  # when the last thread ended; the worker's start before the first one
    draining: bool
    drain_id: str = ""  # the drain-request to answer; empty when a signal or the worker itself stops it


@dataclass(frozen=True, slots=True)
class Report:
    """What should stand on the pod. Two reports are equal when telling the second one would be news to nobody."""

    state: WorkerState
    since: float
    drain_answer: str = ""
    active_invocations: int = field(default=0, compare=False)

    def is_final(self, standing: str) -> bool:
        """Whether it ends a drain for good: it was accepted while the request it answers was the `standing` one."""
        return bool(self.drain_answer) and self.drain_answer == standing


class Activity:
    """The worker's state from one observation to the next."""

    def __init__(self, now: float) -> None:
        self._report = Report(WorkerState.IDLE, since=now)
        self._started = 0
        self._spell_began = now

    def observe(self, seen: Observation, now: float) -> Report:
        """The report that is due after `seen`; the same object again while nothing changed."""
        worked = seen.live > 0 or seen.started > self._started  # a task may begin and end between two looks
        self._started = seen.started
        if seen.draining and seen.live:
            state = WorkerState.DRAINING
        elif seen.draining:
            state = self._report.state if seen.holding else WorkerState.DRAINED  # holding is over in a moment
        elif worked or (self._report.state is WorkerState.ACTIVE and now < self._idle_at(seen.last_ended)):
            state = WorkerState.ACTIVE
        else:
            state = WorkerState.IDLE
        if worked and self._report.state in (WorkerState.IDLE, WorkerState.DRAINED):
            self._spell_began = now
        answer = ""
        if state is WorkerState.DRAINED and not seen.holding:
            answered = self._report.drain_answer if self._report.state is WorkerState.DRAINED else ""
            answer = seen.drain_id or answered  # a signal after the answer takes nothing of it back
        if (state, answer) != (self._report.state, self._report.drain_answer):
            self._report = Report(state, self._since(state, seen, now), answer, seen.live)
        return self._report

    def _idle_at(self, last_ended: float) -> float:
        late_enough = max(last_ended + IDLE_AFTER_SECONDS, self._spell_began + SHORT_SPELL_SECONDS)
        return min(last_ended + IDLE_AFTER_SHORT_SPELL_SECONDS, late_enough)

    def _since(self, state: WorkerState, seen: Observation, now: float) -> float:
        if state is WorkerState.IDLE:
            return seen.last_ended
        if state is WorkerState.ACTIVE:
            return self._spell_began
        return now
