"""The broker of the simulation: a first-in-first-out queue of invocations, and what became of each."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from tests.unit.simulation.run import Range, Run

# pynenc itself takes a runner for dead 10 minutes after its last heartbeat; a living one finds out in its turn.
DEAD_AFTER: Final[Range] = (600.0, 660.0)
SLOT_SECONDS: Final = 30.0


@dataclass(slots=True)
class Invocation:
    """One call of a task."""

    number: int
    seconds: float  # how long it runs
    enqueued: float
    first_start: float | None = None
    executions: int = 0
    handed_back: int = 0  # at a drain timeout, or by who recovered it: each allows one more execution
    done: bool = False
    lost_by: str = ""  # the runner that died with it, until somebody recovers it


@dataclass(slots=True)
class Broker:
    """Queue and orchestrator in one."""

    run: Run
    shows_entries: bool = True  # as Redis does; else only a count is to be had
    tells: bool = False  # as Redis does: who asked for it is told when the empty queue gets work
    down: bool = False
    listeners: list[Callable[[], None]] = field(default_factory=list)  # each is told once
    queue: deque[Invocation] = field(default_factory=deque)
    all: list[Invocation] = field(default_factory=list)
    undone: int = 0
    hungry: dict[int, Callable[[], None]] = field(default_factory=dict)  # free workers that found nothing, by id
    held: int = 0  # in some runner's hands, as far as the orchestrator knows
    lost: int = 0  # times that an invocation was lost with its runner
    living: set[str] = field(default_factory=set)  # ids of runners with a heartbeat
    last_beats: dict[str, float] = field(default_factory=dict)  # of dead ones

    def enqueue(self, seconds: float) -> None:
        self.all.append(Invocation(len(self.all), seconds, self.run.time))
        self.undone += 1
        self.queue.append(self.all[-1])
        self.wake()

    def wake(self) -> None:
        """Make every free worker look within its usual time."""
        if self.queue:
            self._tell()
        wanting, self.hungry = self.hungry, {}
        for look in wanting.values():
            look()

    def goes_down(self) -> None:
        """Every connection ends."""
        self.down = True
        self._tell()

    def _tell(self) -> None:
        told, self.listeners = self.listeners, []
        for tell in told:
            tell()

    def pop(self) -> Invocation | None:
        if self.down or not self.queue:
            return None
        self.held += 1
        return self.queue.popleft()

    def head(self, most: int) -> list[str] | None:
        """The ids that are next."""
        return [str(one.number) for one in islice(self.queue, most)] if self.shows_entries else None

    def started(self, invocation: Invocation) -> None:
        invocation.executions += 1
        if invocation.first_start is None:
            invocation.first_start = self.run.time

    def finished(self, invocation: Invocation) -> None:
        invocation.done = True
        self.held -= 1
        self.undone -= 1

    def hand_back(self, invocation: Invocation) -> None:
        invocation.handed_back += 1
        self.held -= 1
        self.queue.append(invocation)
        self.wake()

    def lose(self, invocation: Invocation, runner_id: str) -> None:
        """Its worker is dead."""
        invocation.lost_by = runner_id
        self.lost += 1

    def recover(self, runner_id: str) -> None:
        """Queue again what a dead runner held."""
        for invocation in self.all:
            if invocation.lost_by == runner_id:
                invocation.lost_by = ""
                self.hand_back(invocation)

    def joined(self, runner_id: str) -> None:
        self.living.add(runner_id)

    def left(self, runner_id: str) -> None:
        """In order: its heartbeat goes with it."""
        self.living.discard(runner_id)

    def died(self, runner_id: str) -> None:
        self.living.discard(runner_id)
        self.last_beats[runner_id] = self.run.now()
        self.run.after(DEAD_AFTER, self._recover_by_time, runner_id)

    def _recover_by_time(self, runner_id: str) -> None:
        """What pynenc does itself: some living runner recovers, in its turn, whom it has not heard of for long."""
        if self.living and not self.down:
            self.recover(runner_id)
        else:
            self.run.after((SLOT_SECONDS, SLOT_SECONDS), self._recover_by_time, runner_id)
