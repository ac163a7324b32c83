"""What the operator counts of itself."""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from pynenc_operator.kube import Unavailable
from pynenc_operator.metrics import OperatorMetrics


def test_the_operator_counts_what_it_does() -> None:
    metrics = OperatorMetrics(CollectorRegistry())
    metrics.requested("create", "pods", "201", 0.01)
    metrics.polled("redis", "Answered", 0.001)
    metrics.reconciled(None, 0.1)
    metrics.reconciled(Unavailable("m", verb="list", resource="pods"), 0.1)
    metrics.lagged(0.3)
    metrics.begun("event", 0.02)
    metrics.decided("event", 0.3)
    text = generate_latest(metrics.registry).decode()
    assert 'pynenc_operator_kube_api_requests_total{code="201",resource="pods",verb="create"} 1.0' in text
    assert 'pynenc_operator_broker_polls_total{backend="redis",result="Answered"} 1.0' in text
    assert 'pynenc_operator_reconciles_total{result="success"} 1.0' in text
    assert 'pynenc_operator_reconciles_total{result="error"} 1.0' in text
    assert 'pynenc_operator_reconcile_errors_total{reason="Unavailable"} 1.0' in text
    assert 'pynenc_operator_workqueue_queue_duration_seconds_bucket{cause="event",le="0.025"} 1.0' in text
    assert 'pynenc_operator_decision_latency_seconds_bucket{cause="event",le="0.25"} 0.0' in text
    assert 'pynenc_operator_decision_latency_seconds_bucket{cause="event",le="0.5"} 1.0' in text
    assert 'pynenc_operator_event_loop_lag_seconds_bucket{le="0.25"} 0.0' in text
    assert 'pynenc_operator_event_loop_lag_seconds_bucket{le="0.5"} 1.0' in text


def test_a_watch_lasts_as_long_as_it_likes_and_does_not_count_as_a_slow_request() -> None:
    metrics = OperatorMetrics(CollectorRegistry())
    metrics.requested("watch", "pods", "200", 300.0)
    metrics.watching("pods", restarted=False)
    text = generate_latest(metrics.registry).decode()
    assert 'pynenc_operator_kube_api_requests_total{code="200",resource="pods",verb="watch"} 1.0' in text
    assert "kube_api_request_duration_seconds_count" not in text
    assert 'pynenc_operator_watch_restarts_total{resource="pods"} 0.0' in text


def test_counters_have_no_series_of_their_creation() -> None:
    assert "_created" not in generate_latest(OperatorMetrics(CollectorRegistry()).registry).decode()
