"""What Prometheus can ask a worker. States are called as in the pod's worker-state annotation."""

from importlib.metadata import PackageNotFoundError, version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from pynenc_worker.contract import WorkerState

# Series of nothing but the time of a counter's creation, one for each counter; Prometheus does not need them.
disable_created_metrics()  # type: ignore[no-untyped-call]

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


def worker_version() -> str:
    """The release of this package; "unknown" when it was copied instead of installed."""
    try:
        return version("pynenc-operator")
    except PackageNotFoundError:
        return "unknown"


class WorkerMetrics:
    """All metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.info = Info("pynenc_worker", "Versions of the worker and its pynenc.", registry=registry)
        self.info.info({"version": worker_version(), "pynenc_version": version("pynenc")})
        self.state = Gauge(
            "pynenc_worker_state", "1 for what the worker currently is, 0 for the others.", ["state"], registry=registry
        )
        self.slots = Gauge("pynenc_worker_slots", "Threads that may run at once, by use.", ["use"], registry=registry)
        self.invocations = Counter(
            "pynenc_worker_invocations",
            "Invocations that ended here; superseded: another runner had been given it.",
            ["status"],
            registry=registry,
        )
        self.waited = Histogram(
            "pynenc_worker_invocation_wait_seconds",
            "From registered, retried or rerouted to the start of the thread.",
            registry=registry,
            buckets=_SECONDS,
        )
        self.ran = Histogram(
            "pynenc_worker_invocation_run_seconds",
            "From the start of the thread to its end, waiting for sub-results and for the broker included.",
            registry=registry,
            buckets=_SECONDS,
        )
        self.handed_on = Counter(
            "pynenc_worker_handed_on_invocations",
            "Invocations put back into the queue: of dead runners, lost on the way, or given up at the drain timeout.",
            ["cause"],
            registry=registry,
        )
        self.reports = Counter(
            "pynenc_worker_reports", "PATCHes of the pod's own annotations, by outcome.", ["outcome"], registry=registry
        )
        self.broker_errors = Counter(
            "pynenc_worker_broker_errors", "Calls to the broker that failed and are tried again.", registry=registry
        )
        self.loop = Gauge(
            "pynenc_worker_loop_last_iteration_timestamp_seconds",
            "When the runner's loop last went round (Unix time).",
            registry=registry,
        )
        for status in ("success", "failed", "retry", "superseded", "unloadable"):
            self.invocations.labels(status=status)
        for cause in ("dead_runner", "lost", "drain_timeout"):
            self.handed_on.labels(cause=cause)
        for outcome in ("accepted", "refused", "unreachable"):
            self.reports.labels(outcome=outcome)

    def set_state(self, current: WorkerState) -> None:
        """Show one state as the current one."""
        for state in WorkerState:
            self.state.labels(state=state.value).set(state is current)

    def set_slots(self, total: int, used: int) -> None:
        """Show how many threads work and how many more may."""
        self.slots.labels(use="used").set(used)
        self.slots.labels(use="free").set(max(0, total - used))
