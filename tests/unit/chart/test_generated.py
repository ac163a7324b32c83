"""What is generated of the chart is up to date, and the generator says what it can't do."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.generate_chart import Keys, comments, dump, json_schema, readme, resolved, table
from hack.generated import GenerateError

ROOT = Path(__file__).parents[3]
VALUES = """
# Of the file.

# -- How many.
replicas: 1
image:
  # Why it is so.
  # -- A tag,
  # or | nothing.
  tag: ""
# -- All of it.
resources:
  requests: {cpu: 50m}
"""
DESCRIBED: dict[Keys, str] = {
    ("replicas",): "How many.",
    ("image", "tag"): "A tag, or | nothing.",
    ("resources",): "All of it.",
}
POD: dict[str, Any] = {
    "properties": {
        "containers": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "resources": {
                        "type": "object",
                        "x-kubernetes-map-type": "atomic",
                        "additionalProperties": {
                            "anyOf": [{"type": "integer"}, {"type": "string"}],
                            "x-kubernetes-int-or-string": True,
                            "pattern": "^[0-9]",
                        },
                    },
                },
            },
        }
    }
}


def test_the_charts_files_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hack.generate_chart", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_description_begins_with_two_dashes() -> None:
    assert comments(VALUES.replace("  # Why it is so.\n", "")) == DESCRIBED
    assert ("image", "tag") not in comments(VALUES)  # one that begins otherwise is for who edits the file


def test_the_table_tells_of_what_is_described_by_name() -> None:
    lines = table(yaml.safe_load(VALUES), DESCRIBED).splitlines()[2:]
    assert lines == [
        '| image.tag | string | `""` | A tag, or \\| nothing. |',
        "| replicas | int | `1` | How many. |",
        '| resources | object | `{"requests":{"cpu":"50m"}}` | All of it. |',
    ]


def test_a_value_without_a_description_is_an_error() -> None:
    with pytest.raises(GenerateError, match=r"image\.tag has no description"):
        table(yaml.safe_load(VALUES), {keys: text for keys, text in DESCRIBED.items() if keys != ("image", "tag")})


def test_the_readme_has_nothing_else_to_fill_in() -> None:
    with pytest.raises(GenerateError, match=r"chart\.badges"):
        readme('{{ template "chart.badges" . }}', {}, {})


def test_a_pods_field_is_closed_and_takes_what_helm_makes_of_a_number() -> None:
    quantity = {"type": ["string", "number"], "pattern": "^[0-9]"}
    assert json_schema(POD["properties"]["containers"]["items"]) == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "resources": {"type": "object", "additionalProperties": quantity},
        },
        "additionalProperties": False,
    }


def test_a_pods_field_can_be_narrowed() -> None:
    source = {"$pod": "containers[]", "maxProperties": 1, "properties": {"name": None}}
    narrowed = resolved({"type": "object", "properties": {"container": source}}, POD)
    assert narrowed["required"] == ["container"]
    assert narrowed["additionalProperties"] is False
    container = narrowed["properties"]["container"]
    assert (container["maxProperties"], set(container["properties"])) == (1, {"resources"})


def test_json_is_one_line_until_it_is_long() -> None:
    assert dump({"a": [1, "ü"]}) == '{"a": [1, "ü"]}'
    assert dump({"a": ["x" * 60, "y" * 60]}) == '{\n  "a": [\n    "' + "x" * 60 + '",\n    "' + "y" * 60 + '"\n  ]\n}'
