"""The runners' metrics, rendered from their table at the moment of a scrape.

So they are never stale, and gone when the runner is. Nothing here asks anybody anything.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from pynenc_operator.families import DRAIN_SECONDS, OF_RUNNER, POD_SECONDS, Family, Kind
from pynenc_operator.pool import Pool
from pynenc_operator.runnerrecord import Look, RunnerRecord
from pynenc_operator.runnerspec import Mode
from pynenc_operator.runnertable import RunnerTable
from pynenc_operator.textformat import TextPage, labels_text
from pynenc_worker.contract import WorkerState

# A pod is in one of them; active, idle, draining and drained are worker-states.
POD_STATES: Final = (
    "pending",  # no container has run yet
    "starting",  # runs and has not reported yet
    "idle",
    "active",
    "draining",
    "drained",
    "silent",  # has not reported, or not drained, in time
    "terminating",
    "ended",  # to be deleted, kept for `kubectl logs`, or until its invocations are recovered
)
SLOT_STATES: Final = ("free", "active")


def _of_runner(name: str, kind: Kind, text: str, *labels: str, buckets: tuple[float, ...] = ()) -> Family:
    return Family(name, kind, text, (*OF_RUNNER, *labels), buckets)


_G, _C, _H = Kind.GAUGE, Kind.COUNTER, Kind.HISTOGRAM
# Of a record: counters by their names in its `counts`, histograms by its fields.
COUNTERS: Final = (
    _of_runner(
        "scale_decisions",
        _C,
        "Decisions that were carried out (up, down), and beginnings of what keeps a pool from moving (hold).",
        "direction",
        "reason",
    ),
    _of_runner("pods_created", _C, "Worker pods created."),
    _of_runner("pods_deleted", _C, "Worker pods deleted.", "reason"),
    _of_runner("pod_start_failures", _C, "Worker pods that never got to work, or were refused.", "reason"),
    _of_runner("pod_drains", _C, "Drains that the operator asked for and that have ended.", "result"),
    _of_runner("broker_errors", _C, "Looks at which the queue could not be counted.", "kind"),
    _of_runner("recovered_runners", _C, "Dead workers whose invocations a living one has handed on."),
)
HISTOGRAMS: Final = (
    (
        "scale_up",
        _of_runner(
            "scale_up_latency_seconds",
            _H,
            "From the first look that found the queue's demand unmet to the first report of a worker made for it, "
            "from which on it takes work.",
            buckets=POD_SECONDS,
        ),
    ),
    (
        "pod_start",
        _of_runner(
            "pod_start_duration_seconds",
            _H,
            "From a pod's creation to its worker's first report.",
            buckets=POD_SECONDS,
        ),
    ),
    (
        "drain",
        _of_runner(
            "drain_duration_seconds",
            _H,
            "From the drain request to the pod's deletion or end.",
            buckets=DRAIN_SECONDS,
        ),
    ),
)
GAUGES: Final = (
    Family("runners", _G, "MultiThreadRunners that are looked after.", ("runner_namespace",)),
    _of_runner("runner_info", _G, "1; what the runner is.", "app", "app_id", "backend", "mode"),
    _of_runner("runner_min_pods", _G, "spec.minReplicas."),
    _of_runner("runner_max_pods", _G, "spec.maxReplicas."),
    _of_runner("runner_pinned_pods", _G, "spec.replicas, which holds the pool at so many pods; no sample without it."),
    _of_runner("runner_desired_pods", _G, "Serving worker pods that the operator wants."),
    _of_runner("runner_ready_pods", _G, "Live worker pods that are Ready."),
    _of_runner("runner_pods", _G, "Worker pods; each is in one state.", "state"),
    _of_runner(
        "runner_slots",
        _G,
        "Threads of serving pods: free ones of idle and coming pods, and those of active pods, of which at least one "
        "works.",
        "state",
    ),
    _of_runner("runner_condition", _G, "1 for the status that each condition has.", "type", "status"),
    _of_runner("runner_paused", _G, "1 while spec.mode is Paused."),
    _of_runner("queue_depth", _G, "Invocations that wait in the queue; no sample while it can't be counted."),
    _of_runner(
        "queue_oldest_age_seconds",
        _G,
        "Seconds that the entry at the queue's head has been ready to run, read every 5 s. On Redis and MongoDB; "
        "others can't tell it without a scan, and have no sample.",
    ),
    _of_runner(
        "invocations",
        _G,
        "Invocations of the runner's app, whatever their queue, counted every 30 s (40 s at rest); two runners of one "
        "app show the same ones. On Redis, also beside a RabbitMQ, and SQLite; no sample while they can't be counted.",
        "status",
    ),
    _of_runner("broker_up", _G, "1 if the latest look could count the queue."),
    _of_runner("broker_last_success_timestamp_seconds", _G, "When the queue was last counted (Unix time)."),
    _of_runner("last_reconcile_timestamp_seconds", _G, "When the runner was last looked at (Unix time)."),
)
FAMILIES: Final = (*GAUGES, *COUNTERS, *(family for _, family in HISTOGRAMS))

# The name of a gauge, the values of its labels beside the runner's, and its value.
type Sample = tuple[str, tuple[str, ...], float]


def page(table: RunnerTable) -> str:
    """The table as it is now, in Prometheus' text format; for any thread."""
    text = TextPage(FAMILIES)
    namespaces: Counter[str] = Counter()
    for key, record in table.items():
        namespaces[key.namespace] += 1
        owner = labels_text(OF_RUNNER, key)
        for name, labels, value in _gauges(record):
            text.add(name, owner, labels, value)
        for (name, *values), count in list(record.counts.items()):
            text.add(name, owner, tuple(values), count)
        for source, family in HISTOGRAMS:
            text.add_distribution(family.name, owner, getattr(record, source))
    for namespace, number in namespaces.items():
        text.add("runners", labels_text(OF_RUNNER[:1], [namespace]), (), number)
    return text.text()


def _gauges(record: RunnerRecord) -> Iterator[Sample]:
    look = record.look
    if look is None:
        return
    report = look.report
    spec, pool = report.spec, report.pool
    backend = next(iter(record.runner["spec"]["backend"]), "")
    app = record.runner["spec"]["app"], record.runner["spec"]["appId"]
    yield "runner_info", (*app, backend, str(spec.mode)), 1
    yield "runner_min_pods", (), spec.min_replicas
    yield "runner_max_pods", (), spec.max_replicas
    if spec.pin is not None:
        yield "runner_pinned_pods", (), spec.pin
    yield "runner_desired_pods", (), report.decision.desired
    yield "runner_ready_pods", (), sum(pod.ready for pod in pool.live)
    for state, count in zip(POD_STATES, _pod_states(look, pool), strict=True):
        yield "runner_pods", (state,), count
    slots = pool.free_slots(spec.max_threads), spec.max_threads * len(pool.active)
    for state, count in zip(SLOT_STATES, slots, strict=True):
        yield "runner_slots", (state,), count
    for condition in look.conditions:
        yield "runner_condition", (condition["type"], condition["status"]), 1
    yield "runner_paused", (), spec.mode is Mode.PAUSED
    if report.depth is not None:  # an unknown depth is no sample, and not zero
        yield "queue_depth", (), report.depth.count
        if look.oldest_age is not None:
            yield "queue_oldest_age_seconds", (), look.oldest_age
    for status, count in (look.invocations or {}).items():
        yield "invocations", (status,), count
    yield "broker_up", (), report.depth is not None
    if record.counted_at is not None:
        yield "broker_last_success_timestamp_seconds", (), record.counted_at
    yield "last_reconcile_timestamp_seconds", (), record.looked_at


def _pod_states(look: Look, pool: Pool) -> tuple[int, ...]:
    drained = sum(bool(pod.status and pod.status.state is WorkerState.DRAINED) for pod in pool.draining)
    return (
        len(pool.not_started),
        len(pool.starting),
        len(pool.idle),
        len(pool.active),
        len(pool.draining) - drained,
        drained,
        len(pool.silent),
        sum(pod.terminating for pod in look.pods),
        len(pool.ended),
    )
