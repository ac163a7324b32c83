"""The life of one invocation's thread, from its start to an end that everyone can see."""

import functools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from pynenc import Pynenc
from pynenc.invocation.dist_invocation import DistributedInvocation
from pynenc.invocation.status import InvocationStatus as S
from pynenc.invocation.status import InvocationStatusRecord
from pynenc.runner.runner_context import RunnerContext

from pynenc_worker import invocations
from pynenc_worker.logs import log
from pynenc_worker.metrics import WorkerMetrics
from pynenc_worker.outage import PatientCalls

_OUTCOMES: Final = {S.SUCCESS: "success", S.FAILED: "failed", S.RETRY: "retry"}


class Execution:
    """Runs invocations and notes what pynenc writes about them meanwhile."""

    def __init__(
        self,
        app: Pynenc,
        context: RunnerContext,
        calls: PatientCalls,
        metrics: WorkerMetrics,
        on_end: Callable[[], None],
    ) -> None:
        self._app = app
        self._context = context
        self._calls = calls
        self._metrics = metrics
        self._on_end = on_end
        self._last: dict[str, S] = {}
        self._available_since: dict[str, datetime] = {}

    def install(self) -> None:
        """Note each status that is written, and since when what is taken had been waiting."""
        orchestrator = self._app.orchestrator
        orchestrator._atomic_status_transition = self._noting_written(orchestrator._atomic_status_transition)  # noqa: SLF001 - the one place all transitions pass
        orchestrator.get_invocation_status_record = self._noting_read(orchestrator.get_invocation_status_record)

    def forget_reads(self) -> None:
        """Drop what was read about invocations that were not taken."""
        self._available_since.clear()

    def run(self, invocation: DistributedInvocation, available_since: datetime | None) -> None:
        """The body of the thread; pynenc stores and logs what the task raises."""
        invocation_id = str(invocation.invocation_id)
        self._calls.in_task(invocation_id)
        self._last[invocation_id] = S.PENDING
        if available_since is not None:
            self._metrics.waited.observe(max(0.0, (datetime.now(UTC) - available_since).total_seconds()))
        began = time.monotonic()
        error: BaseException | None = None
        try:
            invocation.run(self._context)
        except BaseException as raised:  # noqa: BLE001 - a task's sys.exit() ends its thread, not the worker
            error = raised
        try:
            self._conclude(invocation_id, error)
        except Exception as failure:  # noqa: BLE001 - nobody is left to tell
            log.error("invocation %s has no final status: %s", invocation_id, type(failure).__name__)
        finally:
            self._metrics.ran.observe(time.monotonic() - began)
            outcome = _OUTCOMES.get(self._last.pop(invocation_id), "superseded")
            self._metrics.invocations.add(outcome)
            self._on_end()

    def available_since(self, invocation_id: str) -> datetime | None:
        """Since when an invocation that was just taken had been ready to run."""
        return self._available_since.get(invocation_id)

    def _conclude(self, invocation_id: str, error: BaseException | None) -> None:
        """Fail what pynenc left open: sys.exit() in a task, an exception that can't be serialised."""
        if error is not None and self._last[invocation_id] is S.RETRY:  # pynenc queues it last: nothing told of this
            log.error("invocation %s is to be tried again and is not queued: %s", invocation_id, type(error).__name__)
        if self._last[invocation_id] not in (S.PENDING, S.RUNNING):
            return
        record = self._app.orchestrator.get_invocation_status_record(invocation_id)
        if record.status not in (S.PENDING, S.RUNNING) or record.runner_id != self._context.runner_id:
            return  # it was given to another runner, which is responsible now
        reason = RuntimeError(f"the task ended without a result: {type(error).__name__ if error else 'it was paused'}")
        log.error("invocation %s is failed: %s", invocation_id, reason)
        invocations.fail(self._app, self._context, invocation_id, reason)

    def _noting_written(
        self, transition: Callable[..., InvocationStatusRecord]
    ) -> Callable[..., InvocationStatusRecord]:
        @functools.wraps(transition)
        def noting(invocation_id: str, status: S, runner_id: str | None = None) -> InvocationStatusRecord:
            record = transition(invocation_id, status, runner_id)
            if invocation_id in self._last:
                self._last[str(invocation_id)] = status
            return record

        return noting

    def _noting_read(self, read: Callable[..., InvocationStatusRecord]) -> Callable[..., InvocationStatusRecord]:
        @functools.wraps(read)
        def noting(invocation_id: str) -> InvocationStatusRecord:
            record = read(invocation_id)
            if record.status.is_available_for_run():
                self._available_since[str(invocation_id)] = record.timestamp
            return record

        return noting
