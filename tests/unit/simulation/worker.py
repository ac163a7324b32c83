"""A worker of the simulation: the real one's drain and activity, on a simulated broker and API server."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from pynenc_operator.kube_errors import NotFound
from pynenc_worker import contract
from pynenc_worker.activity import Activity, Observation, Report
from pynenc_worker.contract import WorkerState
from pynenc_worker.drain import Drain
from pynenc_worker.packing import Packing
from pynenc_worker.worker import LAST_REPORT_SECONDS
from tests.unit.simulation.apiserver import ApiServer
from tests.unit.simulation.recoverer import Recoverer
from tests.unit.simulation.run import Range, Run
from tests.unit.simulation.taskqueue import Broker, Invocation

type Json = dict[str, Any]

# After a thread's end the loop looks for work at once.
AFTER_THREAD: Final[Range] = (0.0, 0.05)
# Between two looks at a queue whose work it leaves to others.
LOOP: Final[Range] = (0.1, 0.12)
LONGEST_LOOK_SECONDS: Final = 0.2  # from one look of the reporter to the next


class Worker:
    """One pod's worker, from its first look to its exit."""

    def __init__(
        self,
        run: Run,
        server: ApiServer,
        broker: Broker,
        pod: Json,
        *,
        max_threads: int,
        drain_timeout: float,
        cautious: bool,
        on_exit: Callable[[int], None],
    ) -> None:
        """:param cautious: take nothing before the first report is accepted, as the real worker does."""
        self.name = pod["metadata"]["name"]
        self.uid = pod["metadata"]["uid"]
        self.running: dict[int, tuple[Invocation, asyncio.TimerHandle]] = {}
        self.executed = 0
        self.hangs = False
        self.drain = Drain(drain_timeout, run.now)
        self._run = run
        self._server = server
        self._broker = broker
        self._max_threads = max_threads
        self._drain_timeout = drain_timeout
        self._cautious = cautious
        self._on_exit = on_exit
        self._activity = Activity(run.now())
        self._packing = Packing(broker.head, run.now)
        self._last_ended = run.now()
        self._held: Invocation | None = None
        self._told: Report | None = None
        self._telling = False
        self._looking: asyncio.TimerHandle | None = None
        self._round_due = False
        self._handed_back = False
        self._over = False
        self._recoverer = Recoverer(run, broker, self.look)
        self._told_recovered: frozenset[str] = frozenset()
        broker.joined(self.uid)
        self._read_podinfo(pod)
        self.look()
        self._seek(run.timing.pickup)

    @property
    def busy(self) -> bool:
        """Whether a deletion would hit work."""
        return bool(self.running or self._held)

    # Reporting.

    def look(self) -> None:
        """The reporter's look: tell what is news."""
        if self._over:
            return
        report = self._activity.observe(self._observe(), self._run.now())
        if report.state is WorkerState.ACTIVE and not self.running and self._looking is None:
            # The reporter looks again and again; only the look at which idleness has come finds anything.
            idle_in = max(0.0, self._activity._idle_at(self._last_ended) - self._run.now())
            self._looking = self._run.after((idle_in, idle_in + LONGEST_LOOK_SECONDS), self._look_again)
        recovered = self._recoverer.answer()
        if not self._telling and (report != self._told or not recovered <= self._told_recovered):
            self._telling = True
            self._run.after(self._run.timing.report, self._tell, report, recovered)

    def _look_again(self) -> None:
        self._looking = None
        self.look()

    def _observe(self) -> Observation:
        return Observation(
            live=0 if self._handed_back else len(self.running),
            holding=self._held is not None,
            started=self.executed,
            last_ended=self._last_ended,
            draining=self.drain.active,
            drain_id=self.drain.request_id,
        )

    def _tell(self, report: Report, recovered: frozenset[str]) -> None:
        if self._over:
            return
        changes = {
            contract.WORKER_STATE: report.state.value,
            contract.WORKER_STATE_SINCE: datetime.fromtimestamp(report.since, UTC).isoformat(timespec="milliseconds"),
            contract.ACTIVE_INVOCATIONS: str(report.active_invocations),
            contract.DRAIN_ANSWER: report.drain_answer or None,
            contract.RECOVERED_RUNNERS: " ".join(sorted(recovered)) or None,
        }
        try:
            pod = self._server.annotate_pod(self.name, changes, self.uid, uid=self.uid)
        except NotFound:
            return
        standing = pod["metadata"]["annotations"].get(contract.DRAIN_REQUEST, "")
        self._run.after(self._run.timing.report, self._told_it, report, recovered, standing)

    def _told_it(self, report: Report, recovered: frozenset[str], standing: str) -> None:
        if report.is_final(standing):
            self.drain.stop("it has drained as it was asked to")
        first = self._told is None
        self._told_recovered = recovered
        self._told, self._telling = report, False
        self.look()
        if first:
            self._seek(self._run.timing.pickup)
        self._finish_if_over()

    # Requests.

    def podinfo(self, pod: Json) -> None:
        """The annotations' file has changed."""
        if not self._over:
            self._read_podinfo(pod)
            self.look()

    def _read_podinfo(self, pod: Json) -> None:
        annotations = pod["metadata"].get("annotations", {})
        self._recoverer.ask(frozenset(annotations.get(contract.RECOVER_RUNNERS, "").split()))
        asked = annotations.get(contract.DRAIN_REQUEST, "")
        if asked == self.drain.request_id:
            return
        self.drain.request(asked)
        self._draining()
        if not asked:
            self._seek(self._run.timing.pickup)

    def stop(self) -> None:
        """SIGTERM."""
        self.drain.stop("SIGTERM")
        self._draining()
        self.look()
        self._finish_if_over()

    def kill(self) -> None:
        """SIGKILL, out of memory, a lost node: what runs is lost."""
        self._over = self._recoverer.over = True
        for invocation, ending in self.running.values():
            ending.cancel()
            self._broker.lose(invocation, self.uid)
        if self._held is not None:
            self._broker.lose(self._held, self.uid)
        self.running, self._held = {}, None
        self._broker.died(self.uid)

    # Work.

    def _may_take(self) -> bool:
        heard_of = self._told is not None or not self._cautious
        free = len(self.running) < self._max_threads and self._held is None
        return heard_of and free and not self.drain.active and not self._over and not self.hangs

    def _seek(self, within: Range) -> None:
        if not self._round_due and self._may_take():
            self._round_due = True
            self._run.after(within, self._round)

    def _round(self) -> None:
        self._round_due = False
        if not self._may_take():
            return
        rested = 0.0 if self.running else self._run.now() - self._last_ended
        leaves_it = not self._packing.may_take(rested)
        if leaves_it and self._broker.queue and not self._broker.down:
            self._seek(LOOP)
            return
        invocation = None if leaves_it else self._broker.pop()
        if invocation is None:
            self._broker.hungry[id(self)] = lambda: self._seek(LOOP if leaves_it else self._run.timing.pickup)
            return
        self._run.note(self.uid, "takes", invocation.number)
        self._held = invocation
        self._run.after(self._run.timing.hold, self._begin)

    def _begin(self) -> None:
        invocation, self._held = self._held, None
        if invocation is None:
            return  # killed meanwhile
        self._broker.started(invocation)
        self.executed += 1
        self.running[invocation.number] = invocation, self._run.after((invocation.seconds,) * 2, self._end, invocation)
        self.look()
        self._round()

    def _end(self, invocation: Invocation) -> None:
        del self.running[invocation.number]
        self._broker.finished(invocation)
        self._last_ended = self._run.now()
        self.look()
        self._seek(AFTER_THREAD)
        self._finish_if_over()

    # The end.

    def _draining(self) -> None:
        if self.drain.active:
            self._run.note(self.uid, "drains", f"with {len(self.running)} running")
            self._run.after((self._drain_timeout,) * 2, self._hand_back_if_expired)

    def _hand_back_if_expired(self) -> None:
        if self._over or not self.drain.active or not self.drain.expired:
            return
        for invocation, ending in self.running.values():
            ending.cancel()
            self._broker.hand_back(invocation)
        self.running = {}
        self._handed_back = True
        self.look()
        self._finish_if_over()

    def _finish_if_over(self) -> None:
        """Leave; who has ever been heard of first sees to it that `drained` is."""
        if not self.busy and not self.hangs and (self.drain.stopping or self._handed_back):
            heard_of = self._told is not None or self._telling
            told = not heard_of or (self._told is not None and self._told.state is WorkerState.DRAINED)
            self._run.after((0.0, 0.6) if told else (LAST_REPORT_SECONDS,) * 2, self._exit)

    def _exit(self) -> None:
        if not self._over and not self.busy:
            self._over = self._recoverer.over = True
            self._broker.left(self.uid)
            self._on_exit(0)
