"""What a worker counts comes to Prometheus as its types and names want it."""

import subprocess
import sys

from prometheus_client.parser import text_string_to_metric_families

from pynenc_worker.contract import WorkerState
from pynenc_worker.exposition import Exposition
from pynenc_worker.metrics import SECONDS, WorkerMetrics

type Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(metrics: WorkerMetrics) -> Samples:
    """The samples of a scrape, by name and labels."""
    families = text_string_to_metric_families(Exposition(metrics).latest().decode())
    return {(one.name, tuple(one.labels.items())): one.value for family in families for one in family.samples}


def test_all_that_may_come_is_there_from_the_beginning_and_nothing_that_is_not_known() -> None:
    samples = scraped(WorkerMetrics())
    for kind in ("success", "failed", "retry", "superseded", "unloadable"):
        assert samples["pynenc_worker_invocations_total", (("status", kind),)] == 0
    assert samples["pynenc_worker_broker_errors_total", ()] == 0
    assert samples["pynenc_worker_loop_last_iteration_timestamp_seconds", ()] == 0
    assert samples["pynenc_worker_invocation_run_seconds_count", ()] == 0
    assert not [name for name, _ in samples if name in ("pynenc_worker_state", "pynenc_worker_slots")]
    assert samples["process_resident_memory_bytes", ()] > 0
    assert not [name for name, _ in samples if name.endswith("_created")]


def test_what_has_happened() -> None:
    metrics = WorkerMetrics()
    metrics.state = WorkerState.ACTIVE
    metrics.set_slots(2, 3)  # one waits for its sub-results, and another has taken its place
    metrics.invocations.add("success")
    metrics.invocations.add("success", 2)
    metrics.broker_failed()
    metrics.went_round()
    samples = scraped(metrics)
    states = {labels: value for (name, labels), value in samples.items() if name == "pynenc_worker_state"}
    assert states == {(("state", state.value),): state is WorkerState.ACTIVE for state in WorkerState}
    assert samples["pynenc_worker_slots", (("use", "used"),)] == 3
    assert samples["pynenc_worker_slots", (("use", "free"),)] == 0
    assert samples["pynenc_worker_invocations_total", (("status", "success"),)] == 3
    assert samples["pynenc_worker_broker_errors_total", ()] == 1
    assert samples["pynenc_worker_loop_last_iteration_timestamp_seconds", ()] > 1_700_000_000


def test_a_bucket_holds_what_is_as_long_as_its_bound_and_all_that_is_shorter() -> None:
    metrics = WorkerMetrics()
    for seconds in (0.05, 0.1, 0.2, 3600.0, 5000.0):
        metrics.ran.observe(seconds)
    samples = scraped(metrics)
    name = "pynenc_worker_invocation_run_seconds"
    buckets = {dict(labels)["le"]: value for (found, labels), value in samples.items() if found == f"{name}_bucket"}
    assert len(buckets) == len(SECONDS) + 1
    assert (buckets["0.1"], buckets["0.25"], buckets["3600.0"], buckets["+Inf"]) == (2, 3, 4, 5)
    assert samples[f"{name}_count", ()] == 5
    assert samples[f"{name}_sum", ()] == 8600.35


def test_a_worker_starts_without_prometheus_client() -> None:
    look = "import sys, pynenc_worker.worker; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
