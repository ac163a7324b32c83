"""Who waits for what: threads that look for the results of other invocations.

pynenc marks a thread as waiting from its first look to its end, so a task that went on after its
sub-results no longer counts against maxThreads, and more and more are taken. Here a thread waits only
while it looks.
"""

import asyncio
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

from pynenc import Pynenc
from pynenc.exceptions import InvocationStatusError
from pynenc.invocation.dist_invocation import DistributedInvocation
from pynenc.invocation.status import InvocationStatus as S
from pynenc.runner.runner_context import RunnerContext
from pynenc.runner.thread_runner import ThreadInfo, ThreadRunner

AVAILABLE: Final = frozenset(status for status in S if status.is_available_for_run())


class Waiting:
    """The waiting invocations of this process and what each of them waits for."""

    def __init__(self, app: Pynenc, context: RunnerContext) -> None:
        self._app = app
        self._context = context
        self._awaited: dict[str, list[str]] = {}

    @contextmanager
    def looking(self, waiting_id: str, awaited_ids: list[str]) -> Iterator[None]:
        """One look for results: the invocation waits for as long as the block lasts."""
        self._awaited[waiting_id] = list(awaited_ids)
        try:
            yield
        finally:
            self._awaited.pop(waiting_id, None)

    def count(self) -> int:
        """How many invocations wait and leave their slot to others: not one whose result has just come."""
        awaited = dict(self._awaited)
        if not awaited:
            return 0
        final = set(self._app.orchestrator.filter_final([one for ids in awaited.values() for one in ids]))
        return sum(final.isdisjoint(ids) for ids in awaited.values())

    def take(self, limit: int) -> Generator[DistributedInvocation]:
        """Take up to `limit` invocations that are waited for here, and nothing else.

        Their ids stay in the queue and are dropped by whoever meets them there.
        """
        orchestrator = self._app.orchestrator
        awaited = list({one: None for ids in dict(self._awaited).values() for one in ids})
        if not awaited or limit < 1:
            return
        for invocation_id in orchestrator.filter_by_status(awaited, AVAILABLE):
            invocation = self._app.state_backend.get_invocation(invocation_id)
            if not orchestrator.is_candidate_to_run_by_concurrency_control(invocation):
                continue
            try:
                orchestrator.set_invocation_status(invocation_id, S.PENDING, self._context)
            except InvocationStatusError:
                continue  # another worker was faster
            yield invocation
            limit -= 1
            if limit < 1:
                return


class WaitingThreadRunner(ThreadRunner):  # type: ignore[misc] # pynenc has no types
    """A ThreadRunner whose waiting threads are told apart, and sleep while they wait."""

    threads: dict[str, ThreadInfo]

    def __init__(self, app: Pynenc, runner_context: RunnerContext) -> None:
        super().__init__(app, runner_context=runner_context)
        self.waiting = Waiting(app, runner_context)

    def _waiting_for_results(
        self, running_invocation_id: str, result_invocation_ids: list[str], runner_args: dict[str, Any] | None = None
    ) -> None:
        """Called again and again by a thread that waits; pynenc's own returns at once and burns a core."""
        del runner_args
        with self.waiting.looking(running_invocation_id, result_invocation_ids):
            time.sleep(self.conf.invocation_wait_results_sleep_time_sec)

    async def async_waiting_for_results(
        self,
        running_invocation_id: str | None,
        result_invocation_ids: list[str],
        runner_args: dict[str, Any] | None = None,
    ) -> None:
        """Wait like `_waiting_for_results`, and let the task's other coroutines go on."""
        if not running_invocation_id:
            await super().async_waiting_for_results(running_invocation_id, result_invocation_ids, runner_args)
            return
        with self.waiting.looking(running_invocation_id, result_invocation_ids):
            await asyncio.sleep(self.conf.invocation_wait_results_sleep_time_sec)
