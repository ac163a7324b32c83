"""pynenc's atomic service: the crons, triggers and recovery that one runner at a time does for all of them.

pynenc gives each runner a time slot; what is decided here is only what happens in it, and that a runner
which died in its slot does not keep everyone out for ever.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pynenc import Pynenc
from pynenc.core_tasks import core_tasks_registry
from pynenc.orchestrator.atomic_service import AtomicServiceExecutionStatus as Status
from pynenc.runner.runner_context import RunnerContext
from pynenc.trigger.trigger_builder import on_cron

from pynenc_worker.drain import Drain
from pynenc_worker.logs import log
from pynenc_worker.outage import is_outage
from pynenc_worker.recovery import Recovery

SECONDS_PER_MINUTE: Final = 60
# Runners beat every 10 s (stock ones every 30 s): one that was silent for this long holds no slot.
DEAD_IN_SLOT: Final = timedelta(seconds=120)
LONGEST_RUN: Final = timedelta(minutes=15)


class AtomicService:
    """A chore of the runner's loop."""

    def __init__(self, app: Pynenc, context: RunnerContext, drain: Drain, recovery: Recovery) -> None:
        self._app = app
        self._context = context
        self._drain = drain
        self._recovery = recovery
        self._checked_at: float | None = None

    def install(self) -> None:
        """Look for a dead holder when a slot is refused, and leave out the crons of pynenc's core tasks."""
        orchestrator, trigger = self._app.orchestrator, self._app.trigger
        orchestrator.record_atomic_service_execution_start = self._freeing(
            orchestrator.record_atomic_service_execution_start
        )
        trigger._get_all_conditions = self._without_core_crons(trigger._get_all_conditions)  # noqa: SLF001 - a stock runner may have registered them

    def step(self) -> None:
        """Every half minute, do what is due if the slot is ours. Not while draining: others are there to stay."""
        now = time.monotonic()
        interval = self._app.conf.atomic_service_check_interval_minutes * SECONDS_PER_MINUTE
        if self._drain.active or (self._checked_at is not None and now - self._checked_at < interval):
            return
        self._checked_at = now
        run = self._app.orchestrator.try_claim_atomic_service_run(self._context)
        if run is None:
            return
        status, reason = Status.ABANDONED, "the broker was away"
        try:
            failures = (_failure(self._recovery.in_slot), _failure(self._app.trigger.trigger_loop_iteration, run))
            reason = ", ".join(filter(None, failures))
            status = Status.ABANDONED if reason else Status.COMPLETED
        finally:
            self._app.orchestrator.finalize_atomic_service_execution(run, datetime.now(UTC), status, reason)

    def _freeing[**P](self, record_start: Callable[P, bool]) -> Callable[P, bool]:
        def freeing(*args: P.args, **kwargs: P.kwargs) -> bool:
            claimed = record_start(*args, **kwargs)
            if not claimed:
                self._abandon_dead_runs()
            return claimed

        return freeing

    def _abandon_dead_runs(self) -> None:
        """Free the slot: pynenc keeps that of a runner that was killed in it for good; the next check finds it free."""
        now = datetime.now(UTC)
        heard = {info.runner_id: info.last_heartbeat for info in self._app.orchestrator.get_active_runners()}
        for execution in self._app.orchestrator.get_active_atomic_service_executions():
            last = max(heard.get(execution.runner_id, execution.start_time), execution.start_time)
            over = execution.runner_id == self._context.runner_id or now - execution.start_time > LONGEST_RUN
            if not over and now - last < DEAD_IN_SLOT:
                continue
            log.warning("the atomic service that runner %s did not end is abandoned", execution.runner_id)
            self._app.orchestrator.finalize_atomic_service_execution(
                execution.atomic_service_run, now, Status.ABANDONED, "not ended by its runner"
            )

    def _without_core_crons(self, get_all: Callable[..., Any]) -> Callable[..., Any]:
        crons = [definition.config_cron for definition in core_tasks_registry.definitions if definition.config_cron]
        conditions = [condition for cron in crons for condition in on_cron(getattr(self._app.conf, cron)).conditions]
        core = {condition.condition_id for condition in conditions}

        def without_core_crons() -> list[Any]:
            # One that nothing is triggered by would be recorded as met again and again, and never be cleared.
            return [
                condition
                for condition in get_all()
                if condition.condition_id not in core
                or self._app.trigger.get_triggers_for_condition(condition.condition_id)
            ]

        return without_core_crons


def _failure[**P](chore: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> str:
    """Do one of the slot's chores; what it failed with, empty if it did not: one keeps no other from its turn.

    :raises Exception: the backend is away, for all of them
    """
    try:
        chore(*args, **kwargs)
    except Exception as error:
        if is_outage(error):
            raise
        log.error("the atomic service failed", exc_info=error)  # a trigger's task, perhaps; the loop goes on
        return f"exception:{type(error).__name__}"
    return ""
