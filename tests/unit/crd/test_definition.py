"""What has to be true of the committed definition, whatever is added to it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from hack.generate_crd import CHART_TEMPLATE, CRD
from pynenc_worker import contract

type Json = dict[str, Any]

DEFINITION: Json = yaml.safe_load(CRD.read_text())
VERSION: Json = DEFINITION["spec"]["versions"][0]
SCHEMA: Json = VERSION["schema"]["openAPIV3Schema"]
SPEC: Json = SCHEMA["properties"]["spec"]
POD_SPEC: Json = SPEC["properties"]["template"]["properties"]["spec"]
# Kubernetes' own types, which come without descriptions.
FOREIGN = ("spec.template.spec", "spec.env", "spec.envFrom")
LAST_APPLIED_LIMIT = 262_144  # bytes of all annotations of an object: what client-side apply has to fit into


def fields(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every field below a schema with its path."""
    for name, field in schema.get("properties", {}).items():
        below = f"{path}.{name}".lstrip(".")
        yield below, field
        yield from fields(field, below)
        if "items" in field:
            yield from fields(field["items"], below + "[]")


def rules(node: Any) -> Iterator[Json]:
    """Every validation rule in a schema."""
    if isinstance(node, dict):
        yield from node.get("x-kubernetes-validations", [])
        for value in node.values():
            yield from rules(value)
    elif isinstance(node, list):
        for value in node:
            yield from rules(value)


def test_every_field_of_ours_is_described() -> None:
    ours = {
        path: field
        for path, field in fields(SCHEMA)
        if path.split(".")[0] in {"spec", "status"} and not path.startswith(tuple(f + x for f in FOREIGN for x in ".["))
    }
    assert len(ours) > 60
    for path, field in ours.items():
        description = field.get("description", "")
        assert description.strip().endswith((".", ").")), f"{path}: {description!r}"


def test_every_rule_says_what_is_wrong_and_with_which_reason() -> None:
    found = list(rules(SCHEMA))
    assert len(found) > 20
    for rule in found:
        assert rule["message"], rule
        assert "\n" not in rule["message"]
        assert rule["reason"] in {"FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired"}


def test_a_rule_on_a_url_never_prints_it() -> None:
    """FieldValueInvalid has the API server repeat the value, and kubectl prints it."""
    for backend in ("redis", "rabbitmq", "mongodb"):
        url = SPEC["properties"]["backend"]["properties"][backend]["properties"]["url"]
        assert {rule["reason"] for rule in url["x-kubernetes-validations"]} == {"FieldValueForbidden"}


def test_the_pod_template_has_no_defaults_descriptions_or_open_ends() -> None:
    text = json.dumps({name: value for name, value in POD_SPEC.items() if name != "description"})
    for word in ('"default":', '"description":', "preserve-unknown-fields", "x-kubernetes-patch"):
        assert word not in text
    assert "containers" not in POD_SPEC.get("required", [])
    assert json.dumps(SCHEMA).count("preserve-unknown-fields") == 1
    assert SPEC["properties"]["backend"]["properties"]["rustvello"]["x-kubernetes-validations"][0]["rule"] == "false"


def test_it_is_small_enough_for_client_side_apply() -> None:
    assert len(json.dumps(DEFINITION, separators=(",", ":"))) < LAST_APPLIED_LIMIT // 2


def test_seconds_are_whole_and_said_so() -> None:
    for path, field in fields(SPEC):
        if path.endswith("Seconds") and not path.startswith("template."):
            assert field["type"] == "integer", path
            assert "econds" in field["description"], path


@pytest.mark.parametrize("rule", [r for r in rules(SPEC) if "drainTimeoutSeconds" in r["rule"]])
def test_the_grace_rule_has_the_margin_of_the_pods(rule: Json) -> None:
    margin = f"drainTimeoutSeconds + {contract.GRACE_MARGIN_SECONDS}"
    assert rule["rule"].count(margin) == 2
    assert margin in rule["message"]
    assert f"({margin})" in rule["messageExpression"]


def test_the_columns_are_these() -> None:
    columns = VERSION["additionalPrinterColumns"]
    names = ["Min", "Max", "Desired", "Ready", "Active", "Idle", "Queue", "Status", "Reason", "Age"]
    assert [c["name"] for c in columns] == names
    assert not any(c.get("priority") for c in columns)
    known = {path for path, _ in fields(SCHEMA)} | {"metadata.creationTimestamp"}
    for column in columns:
        assert column["jsonPath"].lstrip(".").split("[")[0] in known


def test_the_chart_has_the_same_definition() -> None:
    """Line for line: what Helm adds are a condition and an annotation."""
    lines = [line for line in CHART_TEMPLATE.read_text().splitlines() if not line.lstrip().startswith("{{")]
    copy = yaml.safe_load("\n".join(lines))
    assert copy["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert copy == DEFINITION
