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
from tests.unit.chart.wrong_values import WRONG

type Json = dict[str, Any]

CHART = Path(__file__).parents[3] / "charts" / "pynenc-operator"
SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text())
VALUES = (CHART / "values.yaml").read_text()
DEFAULTS: Json = yaml.safe_load(VALUES)
VALUE_SETS = sorted((CHART / "ci").glob("*.yaml"))
EXAMPLES = sorted((CHART.parents[1] / "examples" / "chart").glob("*.yaml"))

# A parent chart's, and maps whose keys are names of the user's: labels, annotations, resources, parameters of drivers.
OPEN = {
    *("global", "annotations", "labels", "alertLabels", "podAnnotations", "podLabels", "nodeSelector", "matchLabels"),
    *("limits", "requests", "volumeAttributes", "options", "userAnnotations", "fieldsV1"),
}


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


@pytest.mark.parametrize("file", [*VALUE_SETS, *EXAMPLES], ids=lambda path: path.stem)
def test_values_that_are_tried_or_shown_fit(file: Path) -> None:
    jsonschema.validate(merged(DEFAULTS, yaml.safe_load(file.read_text())), SCHEMA)


@pytest.mark.parametrize(("values", "named"), WRONG, ids=[f"{json.dumps(values)}" for values, _ in WRONG])
def test_a_wrong_value_is_refused_by_its_name(values: Json, named: str) -> None:
    errors = list(jsonschema.Draft7Validator(SCHEMA).iter_errors(merged(DEFAULTS, values)))
    assert any(named in f"{error.json_path}: {error.message}" for error in errors), errors
