"""What Prometheus is told: all metric objects in one place, names beginning with `pynenc_operator_`.

The state of runners is rendered at scrape time from the reconciler's table, so that it is never stale
and gone when the runner is. `runner_namespace` and not `namespace`: Prometheus gives the target its own.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pynenc_operator.model import Key

type Json = dict[str, Any]

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# metric, its field of status, help
_STATE: Final = (
    ("queue_depth", "queueDepth", "Invocations that wait in the queue, as the broker last counted them."),
    ("runner_desired_pods", "desiredReplicas", "Serving worker pods that the operator wants."),
    ("runner_ready_pods", "readyReplicas", "Worker pods that are Ready."),
)
_POD_STATES: Final = (("active", "activeReplicas"), ("idle", "idleReplicas"), ("draining", "drainingReplicas"))


class RunnerState(Collector):
    """The runners' state, from a table of their latest status."""

    def __init__(self, table: Callable[[], Mapping[Key, Json]]) -> None:
        self._table = table

    def describe(self) -> Iterable[Metric]:
        """No metric needs registering before the first scrape."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Render the table as it is now."""
        runners = dict(self._table())
        of_runner = ["runner_namespace", "runner"]
        for name, source, text in _STATE:
            family = GaugeMetricFamily(f"pynenc_operator_{name}", text, labels=of_runner)
            for key, status in runners.items():
                if source in status:  # an unknown depth is no sample, and not zero
                    family.add_metric(key, status[source])
            yield family
        pods = GaugeMetricFamily(
            "pynenc_operator_runner_pods", "Live worker pods by state.", labels=[*of_runner, "state"]
        )
        for key, status in runners.items():
            counts = {state: status[source] for state, source in _POD_STATES}
            counts["starting"] = status["replicas"] - sum(counts.values())
            for state, count in counts.items():
                pods.add_metric([*key, state], count)
        yield pods
        conditions = GaugeMetricFamily(
            "pynenc_operator_runner_condition",
            "1 for the status that each condition of a runner has.",
            labels=[*of_runner, "type", "status"],
        )
        for key, status in runners.items():
            for condition in status["conditions"]:
                conditions.add_metric([*key, condition["type"], condition["status"]], 1)
        yield conditions


class OperatorMetrics:
    """What the operator counts of itself; the methods are the hooks that the other modules take."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._requests = Counter(
            "pynenc_operator_kube_api_requests_total",
            "Requests to the API server.",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "pynenc_operator_kube_api_request_duration_seconds",
            "Duration of requests to the API server.",
            ["verb"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._counts = Counter(
            "pynenc_operator_broker_polls_total",
            "Counts of queues, by what came of them.",
            ["result"],
            registry=registry,
        )
        self._count_seconds = Histogram(
            "pynenc_operator_broker_poll_duration_seconds",
            "Duration of counts of queues.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._reconciles = Counter(
            "pynenc_operator_reconciles_total", "Looks at runners, by what came of them.", ["result"], registry=registry
        )
        self._reconcile_seconds = Histogram(
            "pynenc_operator_reconcile_duration_seconds",
            "Duration of looks at runners.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.leader = Gauge("pynenc_operator_leader", "1 while this replica leads.", registry=registry)
        self.queued = Gauge("pynenc_operator_workqueue_depth", "Runners in the work queue.", registry=registry)
        for result in ("success", "error"):
            self._reconciles.labels(result)

    def requested(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """Take in a request to the API server."""
        self._requests.labels(verb, resource, code).inc()
        self._request_seconds.labels(verb).observe(seconds)

    def counted(self, result: str, seconds: float) -> None:
        """Take in a count of a queue."""
        self._counts.labels(result).inc()
        self._count_seconds.observe(seconds)

    def reconciled(self, result: str, seconds: float) -> None:
        """Take in a look at a runner."""
        self._reconciles.labels(result).inc()
        self._reconcile_seconds.observe(seconds)
