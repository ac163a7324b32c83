"""What a user sees of a runner and does to it with kubectl: explain, get, scale, status; and how it is installed."""

import json
from datetime import UTC, datetime

import pytest
import yaml

from tests.cluster.half_cluster import HalfCluster
from tests.integration.conftest import CRD_FILE
from tests.integration.crd.runners import Json, apply, runner

CRD: Json = yaml.safe_load(CRD_FILE.read_text())
SCHEMA: Json = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
FIELDS: Json = SCHEMA["properties"]["spec"]["properties"]

STATUS: Json = {
    "observedGeneration": 1,
    "replicas": 7,
    "readyReplicas": 6,
    "activeReplicas": 4,
    "idleReplicas": 2,
    "drainingReplicas": 1,
    "desiredReplicas": 8,
    "queueDepth": 35,
    "selector": "pynenc.org/runner=reports",
    "lastScaleTime": "2026-11-25T10:00:00Z",
    "lastScaleReason": "QueueDepth",
    "startSeconds": 3,
    "failures": {"templateHash": "0123456789", "count": 2, "lastTime": "2026-11-25T10:00:00.123456Z"},
    "orphans": {"count": 2, "since": "2026-11-25T10:00:00Z", "givenUp": True},
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-11-25T10:00:00Z",
            "reason": "Served",
            "message": "6 worker pods are ready",
        }
    ],
}


def one_line(text: str) -> str:
    """Text without the line breaks that kubectl makes."""
    return " ".join(text.split())


def write_status(cluster: HalfCluster, namespace: str, status: Json) -> str:
    """What the operator does; returns what the API server says of it."""
    patch = ["patch", f"--namespace={namespace}", "mtr", "reports", "--subresource=status", "--type=merge"]
    said = cluster.kubectl(*patch, "-p", json.dumps({"status": status}), check=False)
    return said.stderr


@pytest.mark.parametrize("path", ["mtr.spec", "mtr.status", "mtr.spec.backend", "mtr.spec.onBrokerDown"])
def test_explain_describes_every_field(crd_installed: HalfCluster, path: str) -> None:
    said = one_line(crd_installed.kubectl("explain", path).stdout)
    schema = SCHEMA
    for name in path.split(".")[1:]:
        schema = schema["properties"][name]
    assert one_line(schema["description"]) in said
    for name, field in schema["properties"].items():
        assert f" {name} <" in said
        assert one_line(field["description"]) in said
    assert "<no description>" not in said


def test_explain_says_the_defaults(crd_installed: HalfCluster) -> None:
    said = one_line(crd_installed.kubectl("explain", "mtr.spec").stdout)
    for name, field in FIELDS.items():
        if isinstance(field.get("default"), int):
            assert f"Default: {json.dumps(field['default'])}." in one_line(field["description"]), name
    assert "(pynenc: max_processes). Default: 10." in said


def test_explain_knows_the_pod_template(crd_installed: HalfCluster) -> None:
    said = crd_installed.kubectl("explain", "mtr.spec.template.spec.containers.resources.limits").stdout
    assert "map[string]" in said


def test_get_shows_the_columns(crd_installed: HalfCluster, namespace: str) -> None:
    apply(crd_installed, namespace, runner("{}"))
    assert not write_status(crd_installed, namespace, STATUS)
    heading, row = crd_installed.kubectl("get", f"--namespace={namespace}", "mtr").stdout.splitlines()
    columns = "NAME MIN MAX DESIRED READY ACTIVE IDLE QUEUE STATUS REASON AGE"
    assert heading.split() == columns.split()
    assert row.split()[:-1] == ["reports", "0", "20", "8", "6", "4", "2", "35", "True", "Served"]
    assert crd_installed.kubectl("get", f"--namespace={namespace}", "pynenc", "-o", "name").stdout.strip() == (
        "multithreadrunner.pynenc.org/reports"
    )


def test_status_is_kept_whole_and_apart_from_the_spec(crd_installed: HalfCluster, namespace: str) -> None:
    apply(crd_installed, namespace, runner("{}") | {"status": {"replicas": 99}})
    get = ["get", f"--namespace={namespace}", "mtr", "reports", "-o", "json"]
    assert "status" not in json.loads(crd_installed.kubectl(*get).stdout)
    assert not write_status(crd_installed, namespace, STATUS)
    after = json.loads(crd_installed.kubectl(*get).stdout)
    assert after["status"] == STATUS
    assert after["metadata"]["generation"] == 1


def test_wait_works_on_the_condition(crd_installed: HalfCluster, namespace: str) -> None:
    apply(crd_installed, namespace, runner("{}"))
    write_status(crd_installed, namespace, STATUS)
    said = crd_installed.kubectl(
        "wait", f"--namespace={namespace}", "mtr/reports", "--for=condition=Ready", "--timeout=10s"
    )
    assert "condition met" in said.stdout


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"conditions": [STATUS["conditions"][0]] * 2}, "status.conditions[1]: Duplicate value"),
        ({"conditions": [STATUS["conditions"][0] | {"status": "yes"}]}, "status.conditions[0].status"),
        ({"conditions": [STATUS["conditions"][0] | {"reason": "two words"}]}, "status.conditions[0].reason"),
        ({"failures": {"count": 1}}, "status.failures.templateHash: Required value"),
        ({"phase": "Running"}, 'unknown field "status.phase"'),
    ],
)
def test_a_malformed_status_is_refused(crd_installed: HalfCluster, namespace: str, patch: Json, message: str) -> None:
    apply(crd_installed, namespace, runner("{}"))
    assert message in write_status(crd_installed, namespace, patch)


def test_scale_pins_within_the_maximum(crd_installed: HalfCluster, namespace: str) -> None:
    apply(crd_installed, namespace, runner("{}"))
    write_status(crd_installed, namespace, STATUS)
    scale = ["scale", f"--namespace={namespace}", "mtr/reports"]
    pin = ["get", f"--namespace={namespace}", "mtr", "reports", "-o", "jsonpath={.spec.replicas}"]
    assert not crd_installed.kubectl(*pin).stdout
    crd_installed.kubectl(*scale, "--replicas=3")
    assert crd_installed.kubectl(*pin).stdout == "3"
    path = f"/apis/pynenc.org/v1alpha1/namespaces/{namespace}/multithreadrunners/reports/scale"
    answer = json.loads(crd_installed.kubectl("get", "--raw", path).stdout)
    assert answer["spec"] == {"replicas": 3}
    assert answer["status"] == {"replicas": 7, "selector": "pynenc.org/runner=reports"}
    refused = crd_installed.kubectl(*scale, "--replicas=21", check=False)
    assert "replicas (21) must not exceed maxReplicas (20)" in refused.stderr
    assert crd_installed.kubectl(*pin).stdout == "3"
    crd_installed.kubectl(*scale, "--replicas=0")
    assert crd_installed.kubectl(*pin).stdout == "0"


def test_the_documented_way_takes_a_pin_away(crd_installed: HalfCluster, namespace: str) -> None:
    apply(crd_installed, namespace, runner("spec: {replicas: 3}"))
    command = "patch mtr reports --type merge -p"
    assert command.replace("reports", "NAME") in one_line(FIELDS["replicas"]["description"])
    crd_installed.kubectl(*command.split(), '{"spec":{"replicas":null}}', f"--namespace={namespace}")
    get = ["get", f"--namespace={namespace}", "mtr", "reports", "-o", "jsonpath={.spec.replicas}"]
    assert not crd_installed.kubectl(*get).stdout


def test_a_change_is_a_new_generation(crd_installed: HalfCluster, namespace: str) -> None:
    apply(crd_installed, namespace, runner("{}"))
    apply(crd_installed, namespace, runner("spec: {maxReplicas: 30}"))
    get = ["get", f"--namespace={namespace}", "mtr", "reports", "-o", "json"]
    meta = json.loads(crd_installed.kubectl(*get).stdout)["metadata"]
    assert meta["generation"] == 2
    assert datetime.fromisoformat(meta["creationTimestamp"]) <= datetime.now(UTC)


def test_the_definition_goes_through_plain_apply_and_create(crd_installed: HalfCluster) -> None:
    """Client-side apply keeps the whole object in an annotation, which has a limit of 262,144 bytes."""
    get = ["get", "crd", CRD["metadata"]["name"], "-o", "json"]
    installed = json.loads(crd_installed.kubectl(*get).stdout)
    kept = installed["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert json.loads(kept)["spec"] == CRD["spec"]
    # The same under another name, since this one is there already.
    copy = json.dumps(CRD).replace("multithreadrunner", "threadrunner").replace('"mtr"', '"tr"')
    said = crd_installed.kubectl("create", "--dry-run=server", "-f", "-", input=copy)
    assert "threadrunners.pynenc.org created" in said.stdout
    assert not said.stderr


def test_the_definition_is_served_without_complaint(crd_installed: HalfCluster) -> None:
    """A schema that isn't structural, or a name that is taken, shows in its conditions."""
    get = ["get", "crd", CRD["metadata"]["name"], "-o", "json"]
    conditions = {
        c["type"]: c["status"] for c in json.loads(crd_installed.kubectl(*get).stdout)["status"]["conditions"]
    }
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
