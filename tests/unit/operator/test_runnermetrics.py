"""What Prometheus is told of runners, and that nothing stays of those that are gone."""

from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from pynenc_operator.actuator import Outcome
from pynenc_operator.conditions import Facts, Report
from pynenc_operator.decision import Create, Decision
from pynenc_operator.kube import Forbidden
from pynenc_operator.model import Key, QueueDepth, WorkerPod
from pynenc_operator.pool import classify
from pynenc_operator.reason import Reason
from pynenc_operator.runnermetrics import FAMILIES, POD_STATES, RunnerMetrics
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
OF_RUNNER = 'runner="reports",runner_namespace="shop"'


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


def exposed(table: RunnerTable) -> str:
    registry = CollectorRegistry()
    registry.register(RunnerMetrics(lambda: table))
    return generate_latest(registry).decode()


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
    text = exposed(table)
    for state in POD_STATES:
        assert f'pynenc_operator_runner_pods{{{OF_RUNNER},state="{state}"}} 1.0' in text
    assert f'pynenc_operator_runner_slots{{{OF_RUNNER},state="free"}} 6.0' in text
    assert f'pynenc_operator_runner_slots{{{OF_RUNNER},state="active"}} 2.0' in text


def test_a_runners_state_is_what_the_latest_look_has_seen() -> None:
    table = RunnerTable()
    look(table, depth=1)
    look(table, idle("a", ready=True))
    text = exposed(table)
    for line in (
        f"queue_depth{{{OF_RUNNER}}} 7.0",
        f"queue_oldest_age_seconds{{{OF_RUNNER}}} 3.0",
        f"runner_desired_pods{{{OF_RUNNER}}} 1.0",
        f"runner_ready_pods{{{OF_RUNNER}}} 1.0",
        f"runner_max_pods{{{OF_RUNNER}}} 10.0",
        f'runner_condition{{{OF_RUNNER},status="True",type="Ready"}} 1.0',
        f'runner_info{{app="reports.tasks",app_id="reports",backend="redis",mode="Auto",{OF_RUNNER}}} 1.0',
        f"broker_up{{{OF_RUNNER}}} 1.0",
        f"pods_created_total{{{OF_RUNNER}}} 2.0",
        'runners{runner_namespace="shop"} 1.0',
    ):
        assert f"\npynenc_operator_{line}" in text


def test_a_pin_is_a_sample_while_there_is_one() -> None:
    table = RunnerTable()
    look(table)
    assert "pynenc_operator_runner_pinned_pods{" not in exposed(table)
    look(table, spec=RunnerSpec(pin=0))
    assert f"pynenc_operator_runner_pinned_pods{{{OF_RUNNER}}} 0.0" in exposed(table)


def test_an_unknown_depth_is_no_sample_and_not_zero() -> None:
    table = RunnerTable()
    look(table, depth=None)
    text = exposed(table)
    assert "pynenc_operator_queue_depth{" not in text
    assert "pynenc_operator_queue_oldest_age_seconds{" not in text
    assert f"pynenc_operator_broker_up{{{OF_RUNNER}}} 0.0" in text


def test_invocations_are_told_by_status_and_not_at_all_where_they_are_unknown() -> None:
    table = RunnerTable()
    look(table, invocations={"running": 3, "failed": 0})
    text = exposed(table)
    for status, count in (("running", 3), ("failed", 0)):
        assert f'\npynenc_operator_invocations{{{OF_RUNNER},status="{status}"}} {count}.0' in text
    look(table)
    assert "pynenc_operator_invocations{" not in exposed(table)


def test_a_refused_pod_counts_by_who_refused_it() -> None:
    table = RunnerTable()
    table.begins(REPORTS, RUNNER, NOW)
    for message in ("exceeded quota: small", "violates PodSecurity"):
        refusal = Forbidden(message, verb="create", resource="pods")
        table.acted(REPORTS, UP, Outcome(refusal=refusal), NOW)
    look(table)
    text = exposed(table)
    for reason in ("Quota", "Admission"):
        assert f'pynenc_operator_pod_start_failures_total{{reason="{reason}",{OF_RUNNER}}} 1.0' in text


def test_a_thousand_runners_that_came_and_went_leave_no_series() -> None:
    table = RunnerTable()
    registry = CollectorRegistry()
    registry.register(RunnerMetrics(lambda: table))
    keys = [Key(f"ns-{number % 10}", f"runner-{number}") for number in range(1000)]
    for key in keys:
        look(table, idle("a"), active("b"), key=key, invocations={"running": 1})
    assert sum(len(family.samples) for family in registry.collect()) > 50 * len(keys)
    for key in keys:
        table.forget(key)
    assert [family.name for family in registry.collect() if family.samples] == []


def test_there_is_nothing_but_what_is_described() -> None:
    registry = CollectorRegistry()
    table = RunnerTable()
    registry.register(RunnerMetrics(lambda: table))
    assert [family.name for family in registry.collect()] == [family.full_name for family in FAMILIES]
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
