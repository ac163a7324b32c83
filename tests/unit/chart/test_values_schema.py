"""The schema of the chart's values: what is misspelt or of the wrong kind is an error before anything is installed."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

CHART = Path(__file__).parents[3] / "charts" / "pynenc-operator"
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
OPEN_OBJECTS = {"global", "quantities"}  # a parent chart's, and resource names

WRONG = [
    ("misspelt", {"watchNamespace": ["team-a"]}),
    ("misspelt below", {"image": {"repo": "registry.example/pynenc-operator"}}),
    ("misspelt in a list", {"imagePullSecrets": [{"nmae": "registry"}]}),
    ("one namespace that is no list", {"watchNamespaces": "team-a"}),
    ("no namespace's name", {"watchNamespaces": ["Team_A"]}),
    ("a namespace twice", {"watchNamespaces": ["team-a", "team-a"]}),
    ("no replica", {"replicaCount": 0}),
    ("a text for a boolean", {"crds": {"keep": "false"}}),
    ("a digest as tag", {"image": {"tag": "sha256:0123"}}),
    ("an unknown pull policy", {"image": {"pullPolicy": "Sometimes"}}),
    ("resources of a container beside its requests", {"resources": {"cpu": "1"}}),
]


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Values as Helm merges them: maps by key, all else replaced."""
    result = copy.deepcopy(base)
    for key, value in over.items():
        result[key] = merged(result[key], value) if isinstance(result.get(key), dict) else value
    return result


def objects(name: str, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a schema, by the name of its field."""
    if schema.get("type") == "object":
        yield name, schema
    for group in ("properties", "definitions"):
        for field, below in schema.get(group, {}).items():
            yield from objects(field, below)
    if "items" in schema:
        yield from objects(name, schema["items"])


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_every_object_knows_its_fields() -> None:
    closed = {name: schema.get("additionalProperties") for name, schema in objects("values", SCHEMA)}
    assert {name for name, others in closed.items() if others is not False} == OPEN_OBJECTS


def test_every_value_has_a_default_and_every_default_is_described() -> None:
    described = set(SCHEMA["properties"]) - {"global"}
    assert described == set(DEFAULTS) == set(SCHEMA["required"])


@pytest.mark.parametrize("file", sorted((CHART / "ci").glob("*.yaml")), ids=lambda path: path.stem)
def test_values_that_the_chart_is_tried_with_fit(file: Path) -> None:
    jsonschema.validate(merged(DEFAULTS, yaml.safe_load(file.read_text())), SCHEMA)


@pytest.mark.parametrize("values", [values for _, values in WRONG], ids=[what for what, _ in WRONG])
def test_a_wrong_value_is_refused(values: dict[str, Any]) -> None:
    jsonschema.validate(DEFAULTS, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merged(DEFAULTS, values), SCHEMA)
