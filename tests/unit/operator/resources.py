"""Kubernetes objects as the API server gives them, for tests of the pure modules."""

from typing import Any

type Json = dict[str, Any]


# A RabbitMQ beside a Redis, each by a URL of the resource's own.
RABBITMQ: Json = {
    "rabbitmq": {
        "url": "amqp://rabbitmq/shop",
        "queuePrefix": "reports",
        "redis": {"url": "redis://redis:6379"},
    }
}


def runner(**spec: Any) -> Json:
    """A MultiThreadRunner with the CRD's defaults filled in."""
    values: Json = {
        "app": "reports.tasks",
        "appId": "reports",
        "image": "registry.example/reports:1.4",
        "backend": {"redis": {"url": "redis://redis:6379"}},
        "minReplicas": 0,
        "maxReplicas": 10,
        "enforceMaxReplicas": False,
        "minThreads": 1,
        "maxThreads": 1,
        "idleTimeoutSeconds": 60,
        "mode": "Auto",
        "pollIntervalSeconds": 1,
        "drainTimeoutSeconds": 3600,
        "failedPodsHistoryLimit": 3,
        "rollout": {"maxSurge": 1},
        "onBrokerDown": {"action": "Hold", "replicas": 0, "afterSeconds": 60},
    }
    return {
        "apiVersion": "pynenc.org/v1alpha1",
        "kind": "MultiThreadRunner",
        "metadata": {"name": "reports", "namespace": "shop", "uid": "runner-uid", "generation": 3},
        "spec": {**values, **spec},
    }


def pod(**status: Any) -> Json:
    """A worker pod whose container runs and that has reported idle."""
    return {
        "metadata": {
            "name": "reports-0",
            "namespace": "shop",
            "uid": "pod-uid",
            "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"pynenc.org/runner": "reports", "pynenc.org/template-hash": "abc"},
            "annotations": {
                "pynenc.org/worker-state": "idle",
                "pynenc.org/worker-state-since": "2026-01-01T00:00:10.500Z",
                "pynenc.org/active-invocations": "0",
            },
            "ownerReferences": [{"uid": "runner-uid", "controller": True}],
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "worker", "state": {"running": {}}}],
            **status,
        },
    }
