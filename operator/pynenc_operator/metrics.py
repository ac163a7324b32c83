"""What the operator counts of itself; the methods are the hooks that the other modules take."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from pynenc_operator.families import REQUEST_SECONDS, Family, Kind

# A loop that others wait for: from nothing to what stops the renewal of the Lease.
_LAG_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_G, _C, _H = Kind.GAUGE, Kind.COUNTER, Kind.HISTOGRAM
FAMILIES: Final = {
    family.name: family
    for family in (
        Family("build_info", _G, "1; releases.", ("version", "python_version", "kopf_version", "pynenc_version")),
        Family("leader", _G, "1 while this replica leads."),
        Family("workqueue_depth", _G, "Runners that are due and wait for their look."),
        Family(
            "workqueue_queue_duration_seconds",
            _H,
            "How long a runner that was due waited for its look; cause: event, or interval.",
            ("cause",),
            REQUEST_SECONDS,
        ),
        Family(
            "decision_latency_seconds",
            _H,
            "From a runner's first news, or when it was due, until it was known what to do; cause: event, or interval.",
            ("cause",),
            REQUEST_SECONDS,
        ),
        Family("reconciles", _C, "Looks at runners, by what came of them.", ("result",)),
        Family("reconcile_errors", _C, "Looks that failed and are tried again, by the error's class.", ("reason",)),
        Family("reconcile_duration_seconds", _H, "Duration of looks at runners.", (), REQUEST_SECONDS),
        Family(
            "kube_api_requests",
            _C,
            "Requests to the API server; code: HTTP status, or timeout or connection where there was no answer.",
            ("verb", "resource", "code"),
        ),
        Family(
            "kube_api_request_duration_seconds",
            _H,
            "Duration of requests to the API server, watches left out.",
            ("verb", "resource"),
            REQUEST_SECONDS,
        ),
        Family(
            "watch_restarts",
            _C,
            "Watches begun again before their time was over: broken off, or silent for too long.",
            ("resource",),
        ),
        Family("broker_polls", _C, "Questions to backends, by what came of them.", ("backend", "result")),
        Family("broker_poll_duration_seconds", _H, "Duration of questions to backends.", ("backend",), REQUEST_SECONDS),
        Family("event_loop_lag_seconds", _H, "How late the event loop comes to what is due.", (), _LAG_SECONDS),
    )
}
# Series of nothing but the time of a counter's creation, one for each counter; Prometheus does not need them.
disable_created_metrics()  # type: ignore[no-untyped-call]


class OperatorMetrics:
    """All metrics of the operator but those of runners."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def counter(name: str) -> Counter:
            family = FAMILIES[name]
            return Counter(family.full_name, family.text, family.labels, registry=registry)

        def gauge(name: str) -> Gauge:
            family = FAMILIES[name]
            return Gauge(family.full_name, family.text, family.labels, registry=registry)

        def histogram(name: str) -> Histogram:
            family = FAMILIES[name]
            return Histogram(family.full_name, family.text, family.labels, buckets=family.buckets, registry=registry)

        self.leader = gauge("leader")
        self.queued = gauge("workqueue_depth")
        self._queue_seconds = histogram("workqueue_queue_duration_seconds")
        self._decision_seconds = histogram("decision_latency_seconds")
        self._reconciles = counter("reconciles")
        self._reconcile_errors = counter("reconcile_errors")
        self._reconcile_seconds = histogram("reconcile_duration_seconds")
        self._requests = counter("kube_api_requests")
        self._request_seconds = histogram("kube_api_request_duration_seconds")
        self._watch_restarts = counter("watch_restarts")
        self._polls = counter("broker_polls")
        self._poll_seconds = histogram("broker_poll_duration_seconds")
        self._lag = histogram("event_loop_lag_seconds")
        for result in ("success", "error"):
            self._reconciles.labels(result)
        releases = (_release("pynenc-operator"), platform.python_version(), _release("kopf"), _release("pynenc"))
        gauge("build_info").labels(*releases).set(1)

    def requested(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """Take in a request to the API server."""
        self._requests.labels(verb, resource, code).inc()
        if verb != "watch":
            self._request_seconds.labels(verb, resource).observe(seconds)

    def watching(self, resource: str, *, restarted: bool) -> None:
        """Take in that a watch begins; its series is there before the first restart."""
        self._watch_restarts.labels(resource).inc(restarted)

    def polled(self, backend: str, result: str, seconds: float) -> None:
        """Take in a question to a backend."""
        self._polls.labels(backend, result).inc()
        self._poll_seconds.labels(backend).observe(seconds)

    def reconciled(self, error: Exception | None, seconds: float) -> None:
        """Take in a look at a runner, and what made it fail."""
        self._reconciles.labels("error" if error else "success").inc()
        if error:
            self._reconcile_errors.labels(type(error).__name__).inc()
        self._reconcile_seconds.observe(seconds)

    def begun(self, cause: str, seconds: float) -> None:
        """Take in how long a runner waited for its look once it was due."""
        self._queue_seconds.labels(cause).observe(seconds)

    def decided(self, cause: str, seconds: float) -> None:
        """Take in how long it took from then until it was known what to do."""
        self._decision_seconds.labels(cause).observe(seconds)

    def lagged(self, seconds: float) -> None:
        """Take in how late the event loop was."""
        self._lag.observe(seconds)


def _release(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # copied instead of installed
        return "unknown"
