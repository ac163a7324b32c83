"""What Prometheus is told of runners, and that nothing stays of those that are gone."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from pynenc_operator import metrics
from pynenc_operator.actuator import Outcome
from pynenc_operator.conditions import Facts, Report
from pynenc_operator.decision import Create, Decision
from pynenc_operator.kube import Forbidden
from pynenc_operator.model import Key, QueueDepth, WorkerPod
from pynenc_operator.pool import classify
from pynenc_operator.reason import Reason
from pynenc_operator.runnermetrics import FAMILIES, POD_STATES, page
from pynenc_operator.runnerrecord import Look
from pynenc_operator.runnerspec import RunnerSpec
from pynenc_operator.runnertable import RunnerTable
from pynenc_worker.contract import WorkerState
from tests.unit.operator.builders import NOW, active, idle, pod, reporting, seen, starting

REPORTS = Key("shop", "reports")
RUNNER: dict[str, Any] = {
    "spec": {"app": "reports.tasks", "appId": "reports", "backend": {"redis": {}}, "drainTimeoutSeconds": 3600}
}
SPEC = RunnerSpec(max_threads=2)
UP = Decision(desired=1, reason=Reason.QUEUE_DEPTH, create=Create(1, Reason.QUEUE_DEPTH))
OF_RUNNER = 'runner_namespace="shop",runner="reports"'


def look(
    table: RunnerTable,
    *pods: WorkerPod,
    key: Key = REPORTS,
    depth: int | None = 7,
    age: float = 3.0,
    spec: RunnerSpec = SPEC,
    invocations: dict[str, int] | None = None,
) -> None:
    table.begins(key, RUNNER, NOW)
    table.acted(key, UP, Outcome(pods=[{"metadata": {"name": "n", "uid": "u"}}], created=["n"]), NOW)
    report = Report(
        key=key,
        generation=1,
        spec=spec,
        pool=classify(spec, seen(*pods), NOW),
        decision=UP,
        depth=None if depth is None else QueueDepth(depth, depth),
        facts=Facts(),
    )
    table.looked(key, Look(report, [{"type": "Ready", "status": "True"}], pods, age, invocations), NOW)


def test_each_pod_is_in_one_state() -> None:
    table = RunnerTable()
    pods = (
        pod("a"),
        starting("b"),
        idle("c"),
        active("d"),
        reporting("e", WorkerState.DRAINING, drain_request=f"idle.{NOW * 1000:.0f}"),
        reporting("f", WorkerState.DRAINED, drain_request=f"idle.{NOW * 1000:.0f}"),
        active("g", created=NOW - 9000, drain_request=f"idle.{(NOW - 8000) * 1000:.0f}"),
        idle("h", terminating=True),
        active("i", ended=True),
    )
    look(table, *pods)
    text = page(table)
    for state in POD_STATES:
        assert f'pynenc_operator_runner_pods{{{OF_RUNNER},state="{state}"}} 1.0' in text
    assert f'pynenc_operator_runner_slots{{{OF_RUNNER},state="free"}} 6.0' in text
    assert f'pynenc_operator_runner_slots{{{OF_RUNNER},state="active"}} 2.0' in text


def test_a_runners_state_is_what_the_latest_look_has_seen() -> None:
    table = RunnerTable()
    look(table, depth=1)
    look(table, idle("a", ready=True))
    text = page(table)
    for line in (
        f"queue_depth{{{OF_RUNNER}}} 7.0",
        f"queue_oldest_age_seconds{{{OF_RUNNER}}} 3.0",
        f"runner_desired_pods{{{OF_RUNNER}}} 1.0",
        f"runner_ready_pods{{{OF_RUNNER}}} 1.0",
        f"runner_max_pods{{{OF_RUNNER}}} 10.0",
        f'runner_condition{{{OF_RUNNER},type="Ready",status="True"}} 1.0',
        f'runner_info{{{OF_RUNNER},app="reports.tasks",app_id="reports",backend="redis",mode="Auto"}} 1.0',
        f"broker_up{{{OF_RUNNER}}} 1.0",
        f"pods_created_total{{{OF_RUNNER}}} 2.0",
        'runners{runner_namespace="shop"} 1.0',
    ):
        assert f"\npynenc_operator_{line}" in text


def test_a_pin_is_a_sample_while_there_is_one() -> None:
    table = RunnerTable()
    look(table)
    assert "pynenc_operator_runner_pinned_pods{" not in page(table)
    look(table, spec=RunnerSpec(pin=0))
    assert f"pynenc_operator_runner_pinned_pods{{{OF_RUNNER}}} 0.0" in page(table)


def test_an_unknown_depth_is_no_sample_and_not_zero() -> None:
    table = RunnerTable()
    look(table, depth=None)
    text = page(table)
    assert "pynenc_operator_queue_depth{" not in text
    assert "pynenc_operator_queue_oldest_age_seconds{" not in text
    assert f"pynenc_operator_broker_up{{{OF_RUNNER}}} 0.0" in text


def test_invocations_are_told_by_status_and_not_at_all_where_they_are_unknown() -> None:
    table = RunnerTable()
    look(table, invocations={"running": 3, "failed": 0})
    text = page(table)
    for status, count in (("running", 3), ("failed", 0)):
        assert f'\npynenc_operator_invocations{{{OF_RUNNER},status="{status}"}} {count}.0' in text
    look(table)
    assert "pynenc_operator_invocations{" not in page(table)


def test_a_refused_pod_counts_by_who_refused_it() -> None:
    table = RunnerTable()
    table.begins(REPORTS, RUNNER, NOW)
    for message in ("exceeded quota: small", "violates PodSecurity"):
        refusal = Forbidden(message, verb="create", resource="pods")
        table.acted(REPORTS, UP, Outcome(refusal=refusal), NOW)
    look(table)
    text = page(table)
    for reason in ("Quota", "Admission"):
        assert f'pynenc_operator_pod_start_failures_total{{{OF_RUNNER},reason="{reason}"}} 1.0' in text


def test_a_thousand_runners_that_came_and_went_leave_no_series() -> None:
    table = RunnerTable()
    keys = [Key(f"ns-{number % 10}", f"runner-{number}") for number in range(1000)]
    for key in keys:
        look(table, idle("a"), active("b"), key=key, invocations={"running": 1})
    assert len(series(table)) > 50 * len(keys)
    for key in keys:
        table.forget(key)
    assert series(table) == []


def test_prometheus_reads_of_each_family_what_it_was_described_as() -> None:
    table = RunnerTable()
    look(table, idle("a"), invocations={"running": 1}, spec=RunnerSpec(pin=1))
    [(_, record)] = table.items()
    record.counts["broker_errors", "Unreachable"] += 1
    read = list(text_string_to_metric_families(page(table)))
    assert [(found.name, found.type, found.documentation) for found in read] == [
        (family.full_name, family.kind, family.text) for family in FAMILIES
    ]
    for found, family in zip(read, FAMILIES, strict=True):
        assert found.samples, family.name
        for sample in found.samples:
            assert set(sample.labels) - {"le"} == set(family.labels), sample


def test_a_histogram_counts_up_to_each_bound() -> None:
    table = RunnerTable()
    look(table)
    [(_, record)] = table.items()
    for seconds in (0.7, 0.9, 4.0, 1000.0):
        record.pod_start.observe(seconds)
    name = "pynenc_operator_pod_start_duration_seconds"
    text = page(table)
    for bound, count in (("0.5", 0), ("1.0", 2), ("2.0", 2), ("5.0", 3), ("600.0", 3), ("+Inf", 4)):
        assert f'\n{name}_bucket{{{OF_RUNNER},le="{bound}"}} {count}.0\n' in text
    assert f"\n{name}_count{{{OF_RUNNER}}} 4.0\n" in text
    assert f"\n{name}_sum{{{OF_RUNNER}}} 1005.6\n" in text


def test_a_label_may_be_any_text() -> None:
    table = RunnerTable()
    odd = 'a "quoted"\nline \\ with é and }'
    table.begins(REPORTS, {"spec": {**RUNNER["spec"], "app": odd}}, NOW)
    report = Report(REPORTS, 1, SPEC, classify(SPEC, seen(), NOW), UP, None, Facts())
    table.looked(REPORTS, Look(report, [], ()), NOW)
    read = {found.name: found for found in text_string_to_metric_families(page(table))}
    [sample] = read["pynenc_operator_runner_info"].samples
    assert sample.labels["app"] == odd


def test_no_two_metrics_have_one_name() -> None:
    names = [family.full_name for family in (*FAMILIES, *metrics.FAMILIES.values())]
    assert len(set(names)) == len(names)


def series(table: RunnerTable) -> list[str]:
    return [line for line in page(table).splitlines() if not line.startswith("#")]
