"""Nobody's invocations are forgotten: what dead runners held and what got lost on the way is queued again.

Two occasions. The operator names dead runners in `recover-runners`, since it alone knows which pods ended:
just theirs are handed on, and answered in `recovered-runners`. And in its atomic slot a runner does what
pynenc's core tasks do, plus a search for ids that no queue holds.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from pynenc import Pynenc
from pynenc.invocation.status import InvocationStatus as S
from pynenc.invocation.status import InvocationStatusRecord
from pynenc.runner.runner_context import RunnerContext

from pynenc_worker import invocations
from pynenc_worker.index import InvocationIndex
from pynenc_worker.logs import log
from pynenc_worker.metrics import WorkerMetrics

ANSWER_LENGTH: Final = 1024  # characters that the admission policy allows for recovered-runners
BATCH: Final = 100  # invocations handed on in one round of the loop
# What is registered or rerouted is in a queue within milliseconds; after this long it is lost.
LOST_AFTER: Final = timedelta(seconds=60)
# Two looks this far apart must miss an id: in between, a worker may have had it in its hands.
SECOND_LOOK_SECONDS: Final = 10.0
# After an outage, and after a start that may follow one, every living runner needs a heartbeat to be seen alive.
TRUST_HEARTBEATS_AFTER_SECONDS: Final = 60.0
_STRANDED: Final = (S.PENDING_RECOVERY, S.RUNNING_RECOVERY, S.KILLED, S.CONCURRENCY_CONTROLLED)
_WAITING: Final = (S.REGISTERED, S.REROUTED, S.RETRY)


class Recovery:
    """What one worker does for the invocations of others. Only `ask` and `answer` are called from another thread."""

    def __init__(
        self,
        app: Pynenc,
        context: RunnerContext,
        index: InvocationIndex,
        metrics: WorkerMetrics,
        on_change: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._context = context
        self._index = index
        self._metrics = metrics
        self._on_change = on_change
        self._clock = clock
        self._asked: tuple[str, ...] = ()
        self._done: set[str] = set()
        self._suspects: set[str] = set()
        self._looked_at = -SECOND_LOOK_SECONDS
        self._search_until: float | None = None
        self._search_in_slot = False
        self._trusted_at = clock() + TRUST_HEARTBEATS_AFTER_SECONDS

    def ask(self, runner_ids: tuple[str, ...]) -> None:
        """Take the operator's list of dead runners; our own id in it is a mistake."""
        self._asked = tuple(one for one in runner_ids if one != self._context.runner_id)

    def answer(self) -> str:
        """The asked runners that are done, as many as the annotation holds; the operator takes them off its list."""
        text = ""
        for runner_id in self._asked:
            longer = f"{text} {runner_id}".strip()
            if runner_id in self._done and len(longer) <= ANSWER_LENGTH:
                text = longer
        return text

    def step(self) -> None:
        """One round of the loop. Cheap when nothing is asked and nothing has happened."""
        self._hand_on_batch()
        now = self._clock()
        if self._search_until is not None and now >= self._looked_at + SECOND_LOOK_SECONDS:
            self._looked_at = now
            self._search()
            if now >= self._search_until and not self._suspects:
                self._search_until = None

    def after_outage(self) -> None:
        """The broker was away: invocations may have got lost, and living runners may look dead."""
        self._trusted_at = self._clock() + TRUST_HEARTBEATS_AFTER_SECONDS
        self._search_in_slot = True

    def in_slot(self) -> None:
        """Recover by time, as pynenc's core tasks do: what is pending for too long, or of runners without heartbeat."""
        if self._clock() < self._trusted_at:
            return
        orchestrator = self._app.orchestrator
        for source in (
            orchestrator.get_pending_invocations_for_recovery(),
            orchestrator.get_running_invocations_for_recovery(),
        ):
            for invocation_id in list(source):
                if invocations.hand_on(self._app, self._context, invocation_id):
                    log.info("invocation %s of a runner without heartbeat is queued again", invocation_id)
                    self._metrics.handed_on.labels(cause="dead_runner").inc()
        if self._search_in_slot:  # every runner saw the outage, and one after the other they get the slot
            self._search_in_slot = False
            self._search_until = self._clock()

    def _hand_on_batch(self) -> None:
        dead = {one for one in self._asked if one not in self._done}
        if not dead:
            return
        handed_on = 0
        for invocation_id in self._index.with_status((S.RUNNING, S.PENDING)):
            record = self._record(invocation_id)
            if (
                record is None
                or record.runner_id not in dead
                or not invocations.hand_on(self._app, self._context, invocation_id)
            ):
                continue
            log.info("invocation %s of dead runner %s is queued again", invocation_id, record.runner_id)
            self._metrics.handed_on.labels(cause="dead_runner").inc()
            handed_on += 1
            if handed_on >= BATCH:
                return
        for runner_id in dead:
            log.info("nothing is left of dead runner %s", runner_id)
            self._index.forget_runner(runner_id)
        self._done = (self._done | dead) & set(self._asked)
        self._search_until = self._clock() + LOST_AFTER.total_seconds() + SECOND_LOOK_SECONDS
        self._on_change()

    def _search(self) -> None:
        """Queue again what a death or an outage left in no queue. A doubled id is harmless: one becomes PENDING."""
        for invocation_id in self._older_than_lost(_STRANDED):
            self._app.orchestrator.reroute_invocations({invocation_id}, self._context)
        queued = self._index.queued()
        if queued is None:
            return
        missing = set(self._older_than_lost(_WAITING, without=queued))
        for invocation_id in missing & self._suspects:
            invocations.enqueue(self._app, invocation_id)
            log.warning("invocation %s was in no queue and is queued again", invocation_id)
            self._metrics.handed_on.labels(cause="lost").inc()
        self._suspects = missing - self._suspects

    def _older_than_lost(self, statuses: tuple[S, ...], without: frozenset[str] | set[str] = frozenset()) -> list[str]:
        old = datetime.now(UTC) - LOST_AFTER
        found = []
        for invocation_id in self._index.with_status(statuses):
            if invocation_id in without:
                continue
            record = self._record(invocation_id)
            if record is not None and record.status in statuses and record.timestamp < old:
                found.append(invocation_id)
        return found

    def _record(self, invocation_id: str) -> InvocationStatusRecord | None:
        try:
            return self._app.orchestrator.get_invocation_status_record(invocation_id)
        except KeyError:
            return None  # purged since it was listed
