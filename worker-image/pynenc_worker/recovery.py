"""Nobody's invocations are forgotten: what dead runners held and what got lost on the way is queued again.

Two occasions. The operator names dead runners in `recover-runners`, since it alone knows which pods ended:
what they held is handed on at once. What they had popped and not claimed stands nowhere; it shows as an id
that no queue holds, a minute later. Only when that search is over, too, is the runner answered in
`recovered-runners`: until then the operator keeps this worker. And in its atomic slot a runner does what
pynenc's core tasks do, and searches after an outage. One invocation that can't be recovered is logged and left; the
others are recovered.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pynenc import Pynenc
from pynenc.exceptions import InvocationStatusError
from pynenc.invocation.status import InvocationStatus as S
from pynenc.invocation.status import InvocationStatusRecord
from pynenc.runner.runner_context import RunnerContext

from pynenc_worker import invocations
from pynenc_worker.index import InvocationIndex
from pynenc_worker.logs import log
from pynenc_worker.metrics import WorkerMetrics
from pynenc_worker.outage import is_outage

ANSWER_LENGTH: Final = 1024  # characters that the admission policy allows for recovered-runners
BATCH: Final = 100  # invocations handed on in one round of the loop
# What is registered or rerouted is in a queue within milliseconds; after this long it is lost.
LOST_AFTER: Final = timedelta(seconds=60)
# Two looks this far apart must miss an id: in between, a worker may have had it in its hands.
SECOND_LOOK_SECONDS: Final = 10.0
# In multiples of the time after which pynenc considers a runner dead: by then its invocations have been recovered.
FORGET_SILENT_AFTER: Final = 2.0
# After an outage, and after a start that may follow one, every living runner needs a heartbeat to be seen alive.
TRUST_HEARTBEATS_AFTER_SECONDS: Final = 60.0
_STRANDED: Final = (S.PENDING_RECOVERY, S.RUNNING_RECOVERY, S.KILLED, S.CONCURRENCY_CONTROLLED)
_WAITING: Final = (S.REGISTERED, S.REROUTED, S.RETRY)
_AFTER_OUTAGE: Final = ""  # in place of a runner's id


@dataclass(slots=True)
class _Search:
    """Looks for lost ids that are owed to one death, or to an outage."""

    begins: float  # from here on everything that got lost is old enough to be seen
    looks: int = 2


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
        self._searches: dict[str, _Search] = {}  # by the dead runner's id
        self._suspects: set[str] = set()
        self._looked_at = -SECOND_LOOK_SECONDS
        self._search_in_slot = False
        self._trusted_at = clock() + TRUST_HEARTBEATS_AFTER_SECONDS

    def ask(self, runner_ids: tuple[str, ...]) -> None:
        """Take the operator's list of dead runners; our own id in it is a mistake."""
        self._asked = tuple(one for one in runner_ids if one != self._context.runner_id)

    def answer(self) -> str:
        """The asked runners of which nothing is left, as many as fit: each about 70 s after its hand-on."""
        text = ""
        for runner_id in self._asked:
            longer = f"{text} {runner_id}".strip()
            if runner_id in self._done and len(longer) <= ANSWER_LENGTH:
                text = longer
        return text

    def step(self) -> None:
        """One round of the loop. Cheap when nothing is asked and nothing has happened."""
        self._hand_on_batch()
        if not self._searches:
            return
        now = self._clock()
        if now >= self._looked_at + SECOND_LOOK_SECONDS:
            self._looked_at = now
            self._looked(now, seen=self._search())

    def in_outage(self) -> None:
        """The broker is away. The first round that finds it back may have the slot, when no heartbeat is new yet."""
        self._trusted_at = math.inf

    def after_outage(self) -> None:
        """The broker was away: invocations may have got lost, and living runners may look dead."""
        self._trusted_at = self._clock() + TRUST_HEARTBEATS_AFTER_SECONDS
        self._search_in_slot = True

    def in_slot(self) -> None:
        """Recover by time what pynenc's core tasks do, and what one that died as it recovered has left half-way."""
        if self._clock() < self._trusted_at:
            return
        orchestrator = self._app.orchestrator
        for source in (
            orchestrator.get_pending_invocations_for_recovery,
            orchestrator.get_running_invocations_for_recovery,
        ):
            for invocation_id in self._listed(source):
                if self._each(invocation_id, self._hand_on):
                    log.info("invocation %s of a runner without heartbeat is queued again", invocation_id)
        self._reroute_stranded()
        self._forget_silent()
        if self._search_in_slot:  # every runner saw the outage, and one after the other they get the slot
            self._search_in_slot = False
            self._searches[_AFTER_OUTAGE] = _Search(self._clock())

    def _forget_silent(self) -> None:
        """Remove heartbeats that nobody took back, as who left during an outage could not.

        Of who holds something they stay: it is by them that pynenc finds it.
        """
        dead_after = 60 * self._app.conf.runner_considered_dead_after_minutes
        silent = set(self._index.silent_runners(FORGET_SILENT_AFTER * dead_after))
        if silent:
            records = map(self._record, self._index.with_status((S.RUNNING, S.PENDING)))
            for runner_id in silent - {record.runner_id for record in records if record}:
                log.info("runner %s has been silent for long and holds nothing: it is forgotten", runner_id)
                self._index.forget_runner(runner_id)

    def _hand_on_batch(self) -> None:
        dead = {one for one in self._asked if one not in self._done and one not in self._searches}
        if not dead:
            return
        handed_on = 0
        for invocation_id in self._index.with_status((S.RUNNING, S.PENDING)):
            handed_on += self._each(invocation_id, lambda each: self._hand_on_if_of(dead, each))
            if handed_on >= BATCH:
                return
        begins = self._clock() + LOST_AFTER.total_seconds()
        for runner_id in dead:
            log.info("what dead runner %s held is queued again; what it had lost is searched for", runner_id)
            self._index.forget_runner(runner_id)
            self._searches[runner_id] = _Search(begins)

    def _hand_on_if_of(self, dead: set[str], invocation_id: str) -> bool:
        record = self._record(invocation_id)
        if record is None or record.runner_id not in dead or not self._hand_on(invocation_id):
            return False
        log.info("invocation %s of dead runner %s is queued again", invocation_id, record.runner_id)
        return True

    def _hand_on(self, invocation_id: str) -> bool:
        if not invocations.hand_on(self._app, self._context, invocation_id):
            return False
        self._metrics.handed_on.add("dead_runner")
        return True

    def _search(self) -> bool:
        """Queue again what is in no queue, if that can be told. A doubled id is harmless: one becomes PENDING."""
        self._reroute_stranded()
        if (queued := self._index.queued()) is None:
            return False
        missing = set(self._older_than_lost(_WAITING, without=queued))
        for invocation_id in missing & self._suspects:
            self._each(invocation_id, self._enqueue)
        self._suspects = missing - self._suspects
        return True

    def _reroute_stranded(self) -> None:
        """Queue again what somebody was about to, and died before it did: in these statuses nothing stays."""

        def reroute(invocation_id: str) -> bool:
            self._app.orchestrator.reroute_invocations({invocation_id}, self._context)
            return True

        for invocation_id in self._older_than_lost(_STRANDED):
            self._each(invocation_id, reroute)

    def _looked(self, now: float, *, seen: bool) -> None:
        """Count a look for each search whose time has come, unless an outage's saw no queue; the second is the last."""
        for runner_id, search in list(self._searches.items()):
            search.looks -= now >= search.begins and (seen or runner_id != _AFTER_OUTAGE)
            if search.looks:
                continue
            del self._searches[runner_id]
            if runner_id in self._asked:
                log.info("nothing is left of dead runner %s", runner_id)
                self._done = (self._done | {runner_id}) & set(self._asked)
                self._on_change()
        self._suspects = self._suspects if self._searches else set()

    def _enqueue(self, invocation_id: str) -> bool:
        invocations.enqueue(self._app, invocation_id)
        log.warning("invocation %s was in no queue and is queued again", invocation_id)
        self._metrics.handed_on.add("lost")
        return True

    def _older_than_lost(self, statuses: tuple[S, ...], without: frozenset[str] | set[str] = frozenset()) -> list[str]:
        old = datetime.now(UTC) - LOST_AFTER

        def is_old(invocation_id: str) -> bool:
            record = self._record(invocation_id)
            return record is not None and record.status in statuses and record.timestamp < old

        return [one for one in self._index.with_status(statuses) if one not in without and self._each(one, is_old)]

    def _record(self, invocation_id: str) -> InvocationStatusRecord | None:
        try:
            return self._app.orchestrator.get_invocation_status_record(invocation_id)
        except KeyError:
            return None  # purged since it was listed

    def _each(self, invocation_id: str, what: Callable[[str], bool]) -> bool:
        """Do something with one of many: what is wrong with it alone must not keep the others.

        :raises Exception: the backend is away, for all of them
        """
        try:
            return what(invocation_id)
        except (InvocationStatusError, KeyError):
            return False  # another worker was faster, or it was purged
        except Exception as error:
            if is_outage(error):
                raise
            log.error("invocation %s can't be recovered and is left: %s", invocation_id, type(error).__name__)
            return False

    def _listed(self, source: Callable[[], Iterable[str]]) -> list[str]:
        """What pynenc finds for recovery; it stops at a record that it can't read."""
        found: list[str] = []
        try:
            found.extend(source())
        except Exception as error:
            if is_outage(error):
                raise
            log.error("not all invocations to be recovered can be listed: %s", type(error).__name__)
        return found
