"""The operator's pod: what values make of it, and what they can't."""

from pathlib import Path

import pytest
import yaml

from pynenc_operator.config import OperatorConfig
from tests.integration.chart.rendering import (
    CHART,
    RELEASE,
    VALUE_SETS,
    Json,
    container_of,
    environment,
    helm_template,
    of_kind,
    pod_of,
    render,
    value_set,
)

DEFAULTS: Json = yaml.safe_load((CHART / "values.yaml").read_text())
TWO_REPLICAS = CHART / "ci" / "two-replicas-values.yaml"
VOLUMES = CHART / "ci" / "volumes-values.yaml"
OPENSHIFT = CHART / "ci" / "openshift-values.yaml"
DIGEST = "sha256:" + "0123456789abcdef" * 4
SELECTOR = {"app.kubernetes.io/name": "pynenc-operator", "app.kubernetes.io/instance": RELEASE}
TMP = {"name": "tmp", "mountPath": "/tmp"}


def refusal(*settings: str) -> str:
    """What Helm says to values that contradict the chart."""
    done = helm_template(*(f"--set-json={setting}" for setting in settings))
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize("values", VALUE_SETS, ids=value_set)
def test_the_operator_understands_what_it_is_told(values: Path | None) -> None:
    objects = render(values=values)
    wanted = DEFAULTS | (yaml.safe_load(values.read_text()) if values else {})
    told = OperatorConfig.from_environment(environment(objects))
    assert list(told.watch_namespaces) == wanted["watchNamespaces"]
    assert told.allow_local_backends == wanted["allowLocalBackends"]
    assert told.log_level == wanted["logLevel"]
    assert told.relaxed_x509 == wanted["relaxedX509"]
    assert container_of(objects)["ports"] == [{"name": "http", "containerPort": told.port}]
    assert pod_of(objects)["enableServiceLinks"] is False  # they would be unknown settings


@pytest.mark.parametrize(
    ("settings", "image"),
    [
        ((), "ghcr.io/pynenc/pynenc-operator:0.1.0"),
        (('image.repository="localhost/pynenc-operator"', 'image.tag="dev"'), "localhost/pynenc-operator:dev"),
        ((f'image.digest="{DIGEST}"',), f"ghcr.io/pynenc/pynenc-operator@{DIGEST}"),
        ((f'image.digest="{DIGEST}"', 'image.tag="dev"'), f"ghcr.io/pynenc/pynenc-operator@{DIGEST}"),
    ],
)
def test_the_image_is_the_versions_unless_told(settings: tuple[str, ...], image: str) -> None:
    assert container_of(render(*settings))["image"] == image


def test_nobody_but_the_operators_user_writes_to_its_files() -> None:
    objects = render()
    assert container_of(objects)["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod_of(objects)["securityContext"]["runAsUser"] == 65532
    assert container_of(objects)["volumeMounts"] == [TMP]
    assert pod_of(objects)["volumes"] == [{"name": "tmp", "emptyDir": {}}]


def test_a_default_of_the_security_context_can_be_taken_out() -> None:
    assert pod_of(render(values=OPENSHIFT))["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_more_variables_come_once_and_last() -> None:
    variables = container_of(render(values=VOLUMES))["env"]
    names = [variable["name"] for variable in variables]
    assert len(set(names)) == len(names)
    assert variables[-2:] == [
        {"name": "SSL_CERT_FILE", "value": "/etc/backends/ca.crt"},
        {"name": "HTTPS_PROXY", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "url"}}},
    ]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["PYNENC_OPERATOR_LOG_LEVEL"], "the chart sets the operator's settings"),
        (["PYNENC_OPERATOR_NO_SUCH_SETTING"], "the chart sets the operator's settings"),
        (["PYNENC__REDIS_URL"], "takes no settings of pynenc"),
        (["POD_NAME"], "set already"),
        (["TEAM", "TEAM"], "set already"),
    ],
)
def test_more_variables_contradict_nothing(names: list[str], why: str) -> None:
    said = refusal(f"extraEnv={[{'name': name, 'value': 'x'} for name in names]}".replace("'", '"'))
    assert f"extraEnv: {names[-1]}: " in said
    assert why in said


def test_more_volumes_and_the_sqlite_files_are_mounted() -> None:
    objects = render(values=VOLUMES)
    sqlite_dir = OperatorConfig.from_environment(environment(objects)).sqlite_dir
    assert container_of(objects)["volumeMounts"] == [
        TMP,
        {"name": "sqlite", "mountPath": sqlite_dir},
        {"name": "backends", "mountPath": "/etc/backends", "readOnly": True},
    ]
    assert pod_of(objects)["volumes"] == [
        {"name": "tmp", "emptyDir": {}},
        {"name": "sqlite", "persistentVolumeClaim": {"claimName": "pynenc-sqlite"}},
        {"name": "backends", "configMap": {"name": "backends-ca"}},
    ]


def test_the_sqlite_files_may_be_on_any_volume() -> None:
    [_, sqlite] = pod_of(render('sqlite.volume={"hostPath":{"path":"/srv/pynenc"}}'))["volumes"]
    assert sqlite == {"name": "sqlite", "hostPath": {"path": "/srv/pynenc"}}


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ('extraVolumes=[{"name":"tmp","emptyDir":{}}]', "extraVolumes: tmp: "),
        ('extraVolumes=[{"name":"a","emptyDir":{}},{"name":"a","emptyDir":{}}]', "extraVolumes: a: "),
        ('extraVolumeMounts=[{"name":"a","mountPath":"/tmp"}]', "extraVolumeMounts: /tmp: "),
        ('podLabels={"app.kubernetes.io/name":"mine"}', "podLabels: app.kubernetes.io/name: "),
    ],
)
def test_what_the_chart_has_taken_is_refused_by_name(setting: str, named: str) -> None:
    assert named in refusal(setting)


def test_the_pod_is_placed_as_told() -> None:
    objects, told = render(values=TWO_REPLICAS), yaml.safe_load(TWO_REPLICAS.read_text())
    [deployment] = of_kind(objects, "Deployment")
    pod = pod_of(objects)
    for same in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "terminationGracePeriodSeconds"):
        assert pod[same] == told[same]
    metadata = deployment["spec"]["template"]["metadata"]
    assert metadata["labels"] == SELECTOR | told["podLabels"]
    assert metadata["annotations"] == told["podAnnotations"]
    assert deployment["spec"]["selector"]["matchLabels"] == SELECTOR
    zone, host = pod["topologySpreadConstraints"]
    assert zone == told["topologySpreadConstraints"][0] | {"labelSelector": {"matchLabels": SELECTOR}}
    assert host == told["topologySpreadConstraints"][1]


def test_probes_ask_the_same_with_other_times() -> None:
    container = container_of(render(values=TWO_REPLICAS))
    assert container["livenessProbe"] == {
        "httpGet": {"path": "/healthz", "port": "http"},
        "initialDelaySeconds": 30,
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": 6,
    }
    assert container["readinessProbe"] == {
        "httpGet": {"path": "/readyz", "port": "http"},
        "periodSeconds": 5,
        "timeoutSeconds": 2,
        "failureThreshold": 3,
    }


def test_one_replica_has_no_disruption_budget() -> None:
    assert of_kind(render(), "PodDisruptionBudget") == []
    [budget] = of_kind(render("replicaCount=2"), "PodDisruptionBudget")
    assert budget["spec"] == {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": SELECTOR},
    }
    assert of_kind(render("replicaCount=2", "podDisruptionBudget.enabled=false"), "PodDisruptionBudget") == []


@pytest.mark.parametrize(
    ("settings", "made", "used"),
    [
        ((), [RELEASE], RELEASE),
        (('serviceAccount.name="mine"',), ["mine"], "mine"),
        (('serviceAccount.name="mine"', "serviceAccount.create=false"), [], "mine"),
    ],
)
def test_the_account_that_the_pod_uses_has_the_rights(settings: tuple[str, ...], made: list[str], used: str) -> None:
    objects = render(*settings)
    assert [account["metadata"]["name"] for account in of_kind(objects, "ServiceAccount")] == made
    assert pod_of(objects)["serviceAccountName"] == used
    bindings = of_kind(objects, "ClusterRoleBinding") + of_kind(objects, "RoleBinding")
    assert len(bindings) == 2
    for binding in bindings:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": used, "namespace": "pynenc-system"}]
