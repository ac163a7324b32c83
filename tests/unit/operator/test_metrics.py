"""What Prometheus is told of runners."""

from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from pynenc_operator.metrics import OperatorMetrics, RunnerState
from pynenc_operator.model import Key

STATUS: dict[str, Any] = {
    "replicas": 6,
    "desiredReplicas": 5,
    "readyReplicas": 4,
    "activeReplicas": 3,
    "idleReplicas": 1,
    "drainingReplicas": 1,
    "queueDepth": 7,
    "conditions": [{"type": "Ready", "status": "True"}],
}
OF_RUNNER = '{runner="reports",runner_namespace="shop"}'


def exposed(table: dict[Key, dict[str, Any]]) -> str:
    registry = CollectorRegistry()
    registry.register(RunnerState(lambda: table))
    return generate_latest(registry).decode()


def test_a_runners_state_is_rendered_from_its_status() -> None:
    text = exposed({Key("shop", "reports"): STATUS})
    assert f"pynenc_operator_queue_depth{OF_RUNNER} 7.0" in text
    assert f"pynenc_operator_runner_desired_pods{OF_RUNNER} 5.0" in text
    for state, count in {"active": 3, "idle": 1, "draining": 1, "starting": 1}.items():
        assert (
            f'pynenc_operator_runner_pods{{runner="reports",runner_namespace="shop",state="{state}"}} {count}' in text
        )
    assert 'type="Ready"' in text


def test_an_unknown_depth_is_no_sample_and_a_runner_that_is_gone_leaves_none() -> None:
    table = {Key("shop", "reports"): {name: value for name, value in STATUS.items() if name != "queueDepth"}}
    assert f"pynenc_operator_queue_depth{OF_RUNNER}" not in exposed(table)
    assert "reports" not in exposed({})


def test_the_operator_counts_what_it_does() -> None:
    metrics = OperatorMetrics(CollectorRegistry())
    metrics.requested("create", "pods", "201", 0.01)
    metrics.counted("Counted", 0.001)
    metrics.reconciled("success", 0.1)
    text = generate_latest(metrics.registry).decode()
    assert 'pynenc_operator_kube_api_requests_total{code="201",resource="pods",verb="create"} 1.0' in text
    assert 'pynenc_operator_broker_polls_total{result="Counted"} 1.0' in text
    assert 'pynenc_operator_reconciles_total{result="success"} 1.0' in text
