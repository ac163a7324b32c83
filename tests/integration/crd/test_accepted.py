"""What `kubectl apply` accepts, and what is stored then."""

import json

import pytest
import yaml

from pynenc_worker import contract
from tests.cluster.half_cluster import HalfCluster
from tests.cluster.paths import ROOT
from tests.integration.crd.runners import VALID, Json, apply, runner

DEFAULTS: Json = {
    "minReplicas": 0,
    "maxReplicas": 10,
    "enforceMaxReplicas": False,
    "minThreads": 1,
    "maxThreads": 1,
    "idleTimeoutSeconds": 60,
    "mode": "Auto",
    "pollIntervalSeconds": 1,
    "drainTimeoutSeconds": 3600,
    "onBrokerDown": {"action": "Hold", "afterSeconds": 60},
    "rollout": {"maxSurge": 1},
    "failedPodsHistoryLimit": 3,
}

ACCEPTED = {
    "a Secret reference": "{}",
    "only a nodeSelector": "spec: {template: {spec: {nodeSelector: {disk: ssd}}}}",
    "an empty template": "spec: {template: {}}",
    "the image in the template": "spec: {image: null, template: {spec: {containers: [{name: worker, image: a:1}]}}}",
    "a plain URL": "spec: {backend: {redis: {urlFrom: null, url: 'redis://user@redis:6379/0?socket_timeout=5'}}}",
    "TLS": "spec: {backend: {redis: {urlFrom: null, url: 'rediss://redis:6380'}}}",
    "RabbitMQ": (
        "spec: {backend: {redis: null, rabbitmq: {url: 'amqps://rabbitmq:5671/vhost', queuePrefix: shop.reports,"
        " redis: {url: 'redis://redis:6379'}}}}"
    ),
    "RabbitMQ by two Secrets": (
        "spec: {backend: {redis: null, rabbitmq: {urlFrom: {secretKeyRef: {name: mq, key: url}}, queuePrefix: pynenc,"
        " redis: {urlFrom: {secretKeyRef: {name: redis, key: url}}}}}}"
    ),
    "MongoDB replica set": "spec: {backend: {redis: null, mongodb: {url: 'mongodb://a:27017,b:27017/db?replicaSet=rs0'}}}",
    "MongoDB by DNS": "spec: {backend: {redis: null, mongodb: {url: 'mongodb+srv://mongo.example'}}}",
    "SQLite": "spec: {backend: {redis: null, sqlite: {claimName: data, path: reports/pynenc-0.4_a.db}}}",
    "queues": "spec: {queues: [default, gpu.large]}",
    "a pin of 0": "spec: {replicas: 0}",
    "a pin at the maximum": "spec: {replicas: 20}",
    "no pods at all": "spec: {minReplicas: 0, maxReplicas: 0}",
    "minimum at the maximum": "spec: {minReplicas: 20}",
    "a floor while the broker is down": "spec: {onBrokerDown: {action: Replicas, replicas: 20}}",
    "a limited rate": "spec: {scaleUp: {maxPods: 5, periodSeconds: 60}}",
    "no surge": "spec: {rollout: {maxSurge: 0}}",
    "other modes": "spec: {mode: Shadow}",
    "a name of 52 characters": f"metadata: {{name: {'a' * 52}}}",
    "a name of digits": "metadata: {name: '7'}",
    "the grace that is the default": (
        f"spec: {{template: {{spec: {{terminationGracePeriodSeconds: {3600 + contract.GRACE_MARGIN_SECONDS}}}}}}}"
    ),
    "a short grace for a short drain": (
        "spec: {drainTimeoutSeconds: 10, template: {spec: {terminationGracePeriodSeconds: 40}}}"
    ),
    "restartPolicy said": "spec: {template: {spec: {restartPolicy: Never}}}",
    "a sidecar": (
        "spec: {template: {spec: {initContainers: [{name: proxy, image: proxy, restartPolicy: Always}],"
        " containers: [{name: shipper, image: shipper, env: [{name: PYNENC__REDIS_URL, value: other}]}]}}}"
    ),
    "labels and annotations": (
        "spec: {template: {metadata: {labels: {team: a}, annotations: {sidecar.istio.io/inject: 'false'}}}}"
    ),
    "resources": (
        "spec: {template: {spec: {containers: [{name: worker, resources: {requests: {cpu: 500m, memory: 1.5Gi,"
        " example.com/gpu: 1}, limits: {cpu: '2', memory: 2G}}}]}}}"
    ),
    "its own variables": (
        "spec: {env: [{name: LOG, value: a}, {name: PYNENC__LOGGING_LEVEL, value: info},"
        " {name: PYNENC__REDIS_POOL_MAX_CONNECTIONS, value: '20'}, {name: PYNENC__RABBITMQ_HEARTBEAT, value: '60'},"
        " {name: PYNENC__CONFIGREDIS__SOCKET_TIMEOUT, value: '5'},"
        " {name: PYNENC__SERIALIZER_CLS, value: JsonSerializer}, {name: POD_IP, valueFrom: {fieldRef:"
        " {fieldPath: status.podIP}}}, {name: TOKEN, valueFrom: {secretKeyRef: {name: a, key: b}}}],"
        " envFrom: [{configMapRef: {name: settings}}, {prefix: A_, secretRef: {name: more, optional: true}}]}"
    ),
}


def stored(cluster: HalfCluster, namespace: str, name: str = "reports") -> Json:
    """The runner as the API server has it."""
    answer: Json = json.loads(cluster.kubectl("get", f"--namespace={namespace}", "mtr", name, "-o", "json").stdout)
    return answer


@pytest.mark.parametrize("patch", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_it_is_accepted_and_kept_whole(crd_installed: HalfCluster, patch: str) -> None:
    document = runner(patch)
    said = apply(crd_installed, "default", document, "--dry-run=server", "--output=json")
    assert not said.stderr  # no warning
    spec = json.loads(said.stdout)["spec"]
    for field, value in document["spec"].items():
        assert spec[field] == (DEFAULTS.get(field, {}) | value if isinstance(value, dict) else value)


def test_defaults_are_stored(crd_installed: HalfCluster, namespace: str) -> None:
    apply(crd_installed, namespace, runner("spec: {minReplicas: null, maxReplicas: null, maxThreads: null}"))
    spec = stored(crd_installed, namespace)["spec"]
    assert {field: value for field, value in spec.items() if field in DEFAULTS} == DEFAULTS
    assert set(spec) == set(VALID["spec"]) | set(DEFAULTS)


def test_a_template_stays_as_it_was_written(crd_installed: HalfCluster, namespace: str) -> None:
    """Defaults filled into it would change its hash, and so replace every pod."""
    template = yaml.safe_load("""
      spec:
        containers: [{name: worker, ports: [{containerPort: 80}], readinessProbe: {httpGet: {port: http}}}]
        volumes: [{name: a, configMap: {name: a}}, {name: b, emptyDir: {}}]
        imagePullSecrets: [{name: a}]
    """)
    document = runner("{}")
    document["spec"]["template"] = template
    apply(crd_installed, namespace, document)
    assert stored(crd_installed, namespace)["spec"]["template"] == template


def test_the_example_is_accepted(crd_installed: HalfCluster, namespace: str) -> None:
    crd_installed.kubectl("apply", f"--namespace={namespace}", "-f", str(ROOT / "examples" / "runner.yaml"))
    spec = stored(crd_installed, namespace)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"], spec["maxThreads"]) == (0, 10, 1)


def test_null_is_a_default_or_absence(crd_installed: HalfCluster, namespace: str) -> None:
    document = runner("{}")
    document["spec"] |= {"maxReplicas": None, "replicas": None}
    apply(crd_installed, namespace, document)
    spec = stored(crd_installed, namespace)["spec"]
    assert spec["maxReplicas"] == 10
    assert "replicas" not in spec
