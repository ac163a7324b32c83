"""Tells the operator what the worker does, and takes the operator's requests.

One thread: it looks at the runner and at the downward API volume ten times a second, and PATCHes the pod's
annotations when there is news. What could not be told is told when it can be, as it is then; the work goes
on meanwhile.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from pynenc_worker import contract
from pynenc_worker.activity import Activity, Observation, Report
from pynenc_worker.clock import TOLERANCE_SECONDS
from pynenc_worker.contract import WorkerState
from pynenc_worker.drain import Drain
from pynenc_worker.logs import log
from pynenc_worker.metrics import WorkerMetrics
from pynenc_worker.outage import Backoff
from pynenc_worker.pod_api import Answer, ApiRefusedError, ApiUnreachableError, PodApi
from pynenc_worker.podinfo import PodInfo
from pynenc_worker.recovery import Recovery
from pynenc_worker.versions import pynenc_version, worker_version

LOOK_SECONDS: Final = 0.1
FIRST_RETRY_SECONDS: Final = 0.5
LONGEST_RETRY_SECONDS: Final = 5.0
# Nobody can see what such a worker does, and nobody can ask it to leave: it leaves by itself.
REFUSED_FOR_SECONDS: Final = 600.0
BUSY_DELETION_COST: Final = "1000"


class Reporter(threading.Thread):
    """The worker's side of the contract with the operator."""

    def __init__(
        self,
        api: PodApi,
        podinfo: PodInfo,
        drain: Drain,
        metrics: WorkerMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="reporter", daemon=True)
        self._api = api
        self._podinfo = podinfo
        self._drain = drain
        self._metrics = metrics
        self._clock = clock
        self._activity = Activity(clock())
        self._news = threading.Event()
        self._accepted = threading.Condition()
        self._told: tuple[Report, float] | None = None  # the accepted report, and the clock offset it was made with
        self._unanswered = False  # whether a report may stand on the pod that nobody has confirmed
        self._told_recovered: frozenset[str] = frozenset()
        self._backoff = Backoff(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        self._retry_at = 0.0
        self._refused_since: float | None = None
        self._podinfo_missing = False
        self._observe: Callable[[], Observation] | None = None
        self._recovery: Recovery | None = None
        self._on_heard_of: Callable[[], None] = lambda: None

    def attach(
        self, observe: Callable[[], Observation], recovery: Recovery, *, on_heard_of: Callable[[], None]
    ) -> None:
        """Say whom to look at, and who waits for the first report to be accepted; before `start`."""
        self._observe = observe
        self._recovery = recovery
        self._on_heard_of = on_heard_of

    def wake(self) -> None:
        """Something changed: look now. Not from a signal handler."""
        self._news.set()

    def heard_of(self) -> bool:
        """Whether a report was ever accepted; before that, no work may be taken."""
        return self._told is not None

    def may_be_heard_of(self) -> bool:
        """Whether a report was accepted, is on its way, or got no answer: then `drained` has to follow."""
        return self._told is not None or self._unanswered

    def wait_until_drained_is_told(self, timeout: float) -> bool:
        """Wait until `drained` stands on the pod, for at most `timeout` seconds."""
        with self._accepted:
            return self._accepted.wait_for(
                lambda: self._told is not None and self._told[0].state is WorkerState.DRAINED, timeout
            )

    def run(self) -> None:
        """Look and tell until the process ends."""
        while True:
            try:
                self.look()
            except Exception:  # noqa: BLE001 - without this thread nobody knows of the worker
                log.exception("the reporter failed and goes on")
            self._news.wait(LOOK_SECONDS)
            self._news.clear()

    def look(self) -> None:
        """One look at requests and runner, and one PATCH if there is news."""
        if self._observe is None or self._recovery is None:
            raise RuntimeError("attach comes first")
        self._take_requests(self._recovery)
        now = self._clock()
        report = self._activity.observe(self._observe(), now)
        self._metrics.state = report.state
        recovered = self._recovery.answer()
        if self._is_news(report, recovered) and now >= self._retry_at:
            self._tell(report, recovered)

    def _take_requests(self, recovery: Recovery) -> None:
        try:
            requests = self._podinfo.poll()
        except (OSError, ValueError) as error:
            if not self._podinfo_missing:
                self._podinfo_missing = True
                log.warning("the pod's annotations can't be read (%s): no drain request is seen", type(error).__name__)
            return
        self._podinfo_missing = False
        if requests is None:
            return
        if requests.drain_id != self._drain.request_id:
            self._drain.request(requests.drain_id)
        recovery.ask(requests.recover)

    def _is_news(self, report: Report, recovered: str) -> bool:
        if self._told is None or self._unanswered or not self._told_recovered.issuperset(recovered.split()):
            return True
        told, offset = self._told
        return told != report or abs(offset - self._api.clock.offset) > TOLERANCE_SECONDS

    def _tell(self, report: Report, recovered: str) -> None:
        offset = self._api.clock.offset
        since = datetime.fromtimestamp(time.time() - (self._clock() - report.since) + offset, tz=UTC)
        self._unanswered = True
        try:
            answer = self._api.patch_annotations(annotations(report, since, recovered))
        except ApiRefusedError as error:
            self._unanswered = False
            self._refused(error)
        except ApiUnreachableError as error:
            self._failed("unreachable", str(error), error.retry_after)
        else:
            self._metrics.reports.add("accepted")
            log.info("reported: %s", report.state.value)
            self._backoff.reset()
            self._refused_since = None
            self._follow(answer, report)  # before the report counts, with which work may be taken
            with self._accepted:
                first, self._told = self._told is None, (report, offset)
                self._told_recovered = frozenset(recovered.split())
                self._unanswered = False
                self._accepted.notify_all()
            if first:
                self._on_heard_of()

    def _follow(self, answer: Answer, report: Report) -> None:
        """Leave where the accepted report says so.

        A drain request that still stood with its answer is not taken back any more, and a kubelet may be seconds
        behind with the pod's deletion, or the operator be away: the worker ends by itself.
        """
        if self._drain.stopping:
            return
        if answer.deleted:
            log.info("the pod is being deleted, and the signal was missed: draining, then leaving")
            self._drain.stop("the pod is being deleted")
        elif report.is_final(answer.drain_request):
            self._drain.stop("it has drained as it was asked to")

    def _refused(self, error: ApiRefusedError) -> None:
        self._failed("refused", str(error), 0.0)
        now = self._clock()
        if self._refused_since is None:
            self._refused_since = now
        elif now - self._refused_since >= REFUSED_FOR_SECONDS and not self._drain.stopping:
            log.error("the API server has refused the report for 10 minutes: draining, then leaving")
            self._drain.stop("refused reports")

    def _failed(self, outcome: str, cause: str, retry_after: float) -> None:
        self._metrics.reports.add(outcome)
        pause = max(retry_after, self._backoff.pause())
        self._retry_at = self._clock() + pause
        log.warning("the report is %s (%s): again in %.1f s", outcome, cause, pause)


def annotations(report: Report, since: datetime, recovered: str) -> dict[str, str | None]:
    """Everything the worker writes on its pod; None takes an annotation off."""
    busy = report.state in (WorkerState.ACTIVE, WorkerState.DRAINING)
    return {
        contract.WORKER_STATE: report.state.value,
        contract.WORKER_STATE_SINCE: since.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        contract.ACTIVE_INVOCATIONS: str(report.active_invocations),
        contract.DRAIN_ANSWER: report.drain_answer or None,
        contract.RECOVERED_RUNNERS: recovered or None,
        contract.WORKER_VERSION: worker_version(),
        contract.PYNENC_VERSION: pynenc_version(),
        contract.SAFE_TO_EVICT: "false" if busy else "true",
        contract.DO_NOT_DISRUPT: "true" if busy else "false",
        contract.POD_DELETION_COST: BUSY_DELETION_COST if busy else "0",
    }
