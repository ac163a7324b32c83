"""The schema of the chart's values: what is misspelt or of the wrong kind is an error before anything is installed."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hack.generate_chart import comments, documented

type Json = dict[str, Any]

CHART = Path(__file__).parents[3] / "charts" / "pynenc-operator"
SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text())
VALUES = (CHART / "values.yaml").read_text()
DEFAULTS: Json = yaml.safe_load(VALUES)
VALUE_SETS = sorted((CHART / "ci").glob("*.yaml"))

# A parent chart's, and maps whose keys are names of the user's: labels, annotations, resources, parameters of drivers.
OPEN = {
    *("global", "annotations", "labels", "podAnnotations", "podLabels", "nodeSelector", "matchLabels"),
    *("limits", "requests", "volumeAttributes", "options", "userAnnotations", "fieldsV1"),
}

# What is wrong, and the name that the error has to have.
WRONG: list[tuple[Json, str]] = [
    ({"watchNamespace": ["team-a"]}, "watchNamespace"),
    ({"image": {"repo": "registry.example/pynenc-operator"}}, "repo"),
    ({"imagePullSecrets": [{"nmae": "registry"}]}, "nmae"),
    ({"watchNamespaces": "team-a"}, "watchNamespaces"),
    ({"watchNamespaces": ["Team_A"]}, "Team_A"),
    ({"watchNamespaces": ["team-a", "team-a"]}, "watchNamespaces"),
    ({"replicaCount": 0}, "replicaCount"),
    ({"crds": {"keep": "false"}}, "keep"),
    ({"crds": {"install": True}}, "install"),
    ({"image": {"tag": "sha256:0123"}}, "tag"),
    ({"image": {"digest": "0123"}}, "digest"),
    ({"image": {"digest": "sha256:0123"}}, "digest"),
    ({"image": {"repository": "registry.example/operator@sha256"}}, "repository"),
    ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    ({"resources": {"cpu": "1"}}, "cpu"),
    ({"resources": {"requests": {"cpu": "much"}}}, "much"),
    ({"rbac": {"create": True}}, "create"),
    ({"serviceAccount": {"create": False}}, "name"),
    ({"serviceAccount": {"name": "My_Account"}}, "My_Account"),
    ({"sqlite": {"claim": "files"}}, "claim"),
    ({"sqlite": {"existingClaim": "files", "volume": {"emptyDir": {}}}}, "volume"),
    ({"sqlite": {"volume": {"emptyDir": {}, "nfs": {"server": "x", "path": "/"}}}}, "volume"),
    ({"sqlite": {"volume": {"emptyDirr": {}}}}, "emptyDirr"),
    ({"sqlite": {"volume": {"name": "files"}}}, "name"),
    ({"podSecurityContext": {"runAsUsr": 1}}, "runAsUsr"),
    ({"securityContext": {"capabilities": {"dropp": ["ALL"]}}}, "dropp"),
    ({"livenessProbe": {"httpGet": {"path": "/"}}}, "httpGet"),
    ({"readinessProbe": {"periodSeconds": 0}}, "periodSeconds"),
    ({"terminationGracePeriodSeconds": 0}, "terminationGracePeriodSeconds"),
    ({"podAnnotations": {"a": 1}}, "podAnnotations"),
    ({"podLabels": ["a"]}, "podLabels"),
    ({"nodeSelector": {"gpu": True}}, "nodeSelector"),
    ({"tolerations": [{"kee": "gpu"}]}, "kee"),
    ({"tolerations": {"key": "gpu"}}, "tolerations"),
    ({"affinity": {"podAntiAfinity": {}}}, "podAntiAfinity"),
    ({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone"}]}, "whenUnsatisfiable"),
    ({"priorityClassName": "Very High"}, "priorityClassName"),
    ({"podDisruptionBudget": {"minAvailable": 1}}, "minAvailable"),
    ({"podDisruptionBudget": {"maxUnavailable": 0}}, "maxUnavailable"),
    ({"extraEnv": {"A": "b"}}, "extraEnv"),
    ({"extraEnv": [{"name": "A", "value": 1}]}, "value"),
    ({"extraEnv": [{"name": "A", "valueForm": {}}]}, "valueForm"),
    ({"extraVolumes": [{"emptyDir": {}}]}, "name"),
    ({"extraVolumes": [{"name": "a", "emptydir": {}}]}, "emptydir"),
    ({"extraVolumeMounts": [{"name": "a", "path": "/a"}]}, "path"),
    ({"metrics": {"enabled": True}}, "enabled"),
    ({"metrics": {"service": {"port": 80}}}, "port"),
    ({"metrics": {"serviceMonitor": {"intervall": "30s"}}}, "intervall"),
    ({"metrics": {"serviceMonitor": {"interval": "30"}}}, "interval"),
    ({"metrics": {"podMonitor": {"relabelings": [{"action": "rename"}]}}}, "rename"),
    ({"metrics": {"podMonitor": {"metricRelabelings": [{"target_label": "x"}]}}}, "target_label"),
    ({"networkPolicy": {"egress": []}}, "egress"),
    ({"networkPolicy": {"dns": {"ports": []}}}, "ports"),
    ({"networkPolicy": {"backends": {"ports": ["redis"]}}}, "redis"),
    ({"networkPolicy": {"metricsFrom": [{"podSelectr": {}}]}}, "podSelectr"),
    ({"networkPolicy": {"apiServer": {"to": [{"ipBlock": {"except": []}}]}}}, "cidr"),
    ({"networkPolicy": {"extraEgress": [{"port": 80}]}}, "port"),
]


def merged(base: Json, over: Json) -> Json:
    """Values as Helm merges them: maps by key, null removes, all else replaces."""
    result = copy.deepcopy(base)
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        else:
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else value
    return result


def objects(name: str, schema: Json) -> Iterator[tuple[str, Json]]:
    """Every object of a schema, by the name of its field."""
    if schema.get("type") == "object":
        yield name, schema
    for field, below in schema.get("properties", {}).items():
        yield from objects(field, below)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from objects(name, schema[key])


def at(values: Json, keys: tuple[str, ...]) -> Any:
    """The value of these keys, or None."""
    found: Any = values
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_every_object_knows_its_fields() -> None:
    closed = [(name, schema.get("additionalProperties")) for name, schema in objects("values", SCHEMA)]
    assert {name for name, others in closed if others is not False} == OPEN


def test_every_value_has_a_default_and_every_default_is_described() -> None:
    assert set(SCHEMA["properties"]) - {"global"} == set(DEFAULTS) == set(SCHEMA["required"])
    jsonschema.validate(DEFAULTS, SCHEMA)


def test_every_value_is_tried() -> None:
    tried = [yaml.safe_load(file.read_text()) for file in VALUE_SETS]
    for keys, default in documented(DEFAULTS, comments(VALUES)):
        others = [value for values in tried if (value := at(values, keys)) is not None]
        assert any(value != default for value in others), f"{'.'.join(keys)}: no file of ci/ has another value"


@pytest.mark.parametrize("file", VALUE_SETS, ids=lambda path: path.stem)
def test_values_that_the_chart_is_tried_with_fit(file: Path) -> None:
    jsonschema.validate(merged(DEFAULTS, yaml.safe_load(file.read_text())), SCHEMA)


@pytest.mark.parametrize(("values", "named"), WRONG, ids=[f"{json.dumps(values)}" for values, _ in WRONG])
def test_a_wrong_value_is_refused_by_its_name(values: Json, named: str) -> None:
    errors = list(jsonschema.Draft7Validator(SCHEMA).iter_errors(merged(DEFAULTS, values)))
    assert any(named in f"{error.json_path}: {error.message}" for error in errors), errors
