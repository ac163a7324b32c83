"""What a simulated worker does for dead ones that the operator names to it."""

from collections.abc import Callable
from typing import Final

from tests.unit.simulation.run import Range, Run
from tests.unit.simulation.taskqueue import Broker

HAND_ON: Final[Range] = (0.1, 1.0)  # from the name of a dead runner to what it held


class Recoverer:
    """Hands on what dead runners held at once, and answers when what they had lost has been searched for."""

    def __init__(self, run: Run, broker: Broker, on_answer: Callable[[], None]) -> None:
        self.over = False  # its worker has ended
        self._run = run
        self._broker = broker
        self._on_answer = on_answer
        self._asked: frozenset[str] = frozenset()
        self._begun: set[str] = set()
        self._done: set[str] = set()

    def ask(self, runner_ids: frozenset[str]) -> None:
        """Take the operator's list."""
        self._asked = runner_ids
        for runner_id in sorted(runner_ids - self._begun):
            self._begun.add(runner_id)
            self._run.after(HAND_ON, self._hand_on, runner_id)

    def answer(self) -> frozenset[str]:
        """Those of the list of whom nothing is left."""
        return self._asked & self._done

    def _hand_on(self, runner_id: str) -> None:
        if self.over:
            return
        if self._broker.down:
            self._run.after(HAND_ON, self._hand_on, runner_id)
            return
        self._broker.recover(runner_id)
        self._run.after(self._run.timing.search, self._searched, runner_id)

    def _searched(self, runner_id: str) -> None:
        self._done.add(runner_id)
        self._on_answer()
