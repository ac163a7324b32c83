"""What Prometheus reads of a worker, made of what `metrics` counts when it asks.

Source: prometheus.github.io/client_python, "Custom Collectors".
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from pynenc_worker.contract import WorkerState
from pynenc_worker.metrics import Counts, Durations, WorkerMetrics
from pynenc_worker.versions import pynenc_version, worker_version


class Exposition(Collector):
    """A worker's metrics, with those of its process, in a registry of their own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, metrics: WorkerMetrics) -> None:
        self._metrics = metrics
        self._versions = {"version": worker_version(), "pynenc_version": pynenc_version()}
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def latest(self) -> bytes:
        """The answer to a scrape, as text of that type."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Each metric as it is now."""
        metrics = self._metrics
        yield InfoMetricFamily("pynenc_worker", "Versions of the worker and its pynenc.", self._versions)
        state = GaugeMetricFamily(
            "pynenc_worker_state", "1 for what the worker currently is, 0 for the others.", labels=["state"]
        )
        for each in WorkerState if metrics.state else ():
            state.add_metric([each.value], each is metrics.state)
        yield state
        slots = GaugeMetricFamily("pynenc_worker_slots", "Threads that may run at once, by use.", labels=["use"])
        for use, number in zip(("used", "free"), metrics.slots or (), strict=False):
            slots.add_metric([use], number)
        yield slots
        text = "Invocations that ended here; superseded: another runner had been given it."
        yield _counter("pynenc_worker_invocations", text, "status", metrics.invocations)
        text = "From registered, retried or rerouted to the start of the thread."
        yield _histogram("pynenc_worker_invocation_wait_seconds", text, metrics.waited)
        text = "From the start of the thread to its end, waiting for sub-results and for the broker included."
        yield _histogram("pynenc_worker_invocation_run_seconds", text, metrics.ran)
        text = (
            "Invocations put back into the queue: of dead runners, lost on the way, or given up at the drain timeout."
        )
        yield _counter("pynenc_worker_handed_on_invocations", text, "cause", metrics.handed_on)
        text = "PATCHes of the pod's own annotations, by outcome."
        yield _counter("pynenc_worker_reports", text, "outcome", metrics.reports)
        text = "Calls to the broker that failed and are tried again."
        failed = metrics.broker_calls.by_kind()["failed"]
        yield CounterMetricFamily("pynenc_worker_broker_errors", text, failed)
        text = "When the runner's loop last went round (Unix time)."
        yield GaugeMetricFamily("pynenc_worker_loop_last_iteration_timestamp_seconds", text, metrics.last_round)


def _counter(name: str, text: str, label: str, counts: Counts) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for kind, count in counts.by_kind().items():
        family.add_metric([kind], count)
    return family


def _histogram(name: str, text: str, durations: Durations) -> HistogramMetricFamily:
    buckets, total = durations.so_far()
    named = [(floatToGoString(bound), count) for bound, count in buckets]  # type: ignore[no-untyped-call]
    return HistogramMetricFamily(name, text, named, total)
