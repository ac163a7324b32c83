"""Generate the chart's values.schema.json and README.md from what they repeat, or find where they have drifted.

    python -m hack.generate_chart [--check]

The schema is hack/chart/values.schema.yaml with the descriptions of values.yaml, and with the types of pod fields that
the CRD has. The README is README.md.gotmpl with the values; template and comments are in helm-docs' format, and so is
what comes out. helm-docs itself is GPL, and so none of the project's tools.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hack.generate_crd import CRD, Schema, merged
from hack.generated import ROOT, GenerateError, main

CHART = ROOT / "charts" / "pynenc-operator"
SOURCE = ROOT / "hack" / "chart" / "values.schema.yaml"
VALUES = CHART / "values.yaml"
WIDTH = 110  # JSON that is shorter stands in one line

type Keys = tuple[str, ...]  # of a value: ("image", "tag")


def comments(text: str) -> dict[Keys, str]:
    """The descriptions of the values: a comment right above a key, from the line on that begins with `--`."""
    lines = text.splitlines()

    def above(line: int) -> str:
        first = line
        while first and lines[first - 1].strip().startswith("#"):
            first -= 1
        block = "\n".join(each.strip().removeprefix("#").strip() for each in lines[first:line])
        return " ".join(block.rpartition("-- ")[2].split()) if block.startswith("-- ") else ""

    def walk(node: yaml.Node, keys: Keys) -> Iterator[tuple[Keys, str]]:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if description := above(key.start_mark.line):
                    yield (*keys, key.value), description
                yield from walk(value, (*keys, key.value))

    root = yaml.compose(text, yaml.SafeLoader)
    return dict(walk(root, ())) if root else {}


def documented(values: Any, described: dict[Keys, str], keys: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """The values that a reader is told of: each has a description, or belongs to one that has."""
    if keys in described:
        yield keys, values
    elif isinstance(values, dict) and values:
        for key, value in values.items():
            yield from documented(value, described, (*keys, key))
    else:
        raise GenerateError(
            f"values.yaml: {'.'.join(keys)} has no description: begin the comment above it with `# -- `"
        )


def kind(value: Any) -> str:
    """The type of a default, as helm-docs calls it."""
    names = {bool: "bool", int: "int", float: "float", str: "string", list: "list", dict: "object"}
    return names[type(value)]


def table(values: Schema, described: dict[Keys, str]) -> str:
    """The values in Markdown, by name."""
    rows = ["| Key | Type | Default | Description |", "|-----|------|---------|-------------|"]
    for keys, value in sorted(documented(values, described), key=lambda each: ".".join(each[0])):
        default = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
        rows.append(f"| {'.'.join(keys)} | {kind(value)} | `{default}` | {described[keys].replace('|', '\\|')} |")
    return "\n".join(rows)


def readme(template: str, values: Schema, described: dict[Keys, str]) -> str:
    """The README of a template that has the table of values and nothing else to fill in."""
    before, _, after = template.partition('{{ template "chart.valuesTable" . }}')
    if left := re.search(r"{{.*?}}", before + after):
        raise GenerateError(f"README.md.gotmpl: {left[0]} is not known to hack/generate_chart.py")
    return before + table(values, described) + after


def pod_field(pod: Schema, path: str) -> Schema:
    """The type of a field of a pod's spec: `containers[].env`, where [] is a list's item."""
    found = pod
    for name in path.split("."):
        found = found["properties"][name.removesuffix("[]")]
        found = found["items"] if name.endswith("[]") else found
    return found


def json_schema(node: Schema) -> Schema:
    """A type of the CRD as JSON schema for values: closed, without what only the API server understands."""
    if node.get("anyOf") == [{"type": "integer"}, {"type": "string"}]:
        # A quantity may be written 0.5: Helm quotes nothing.
        return {"type": ["string", "number"], **({"pattern": node["pattern"]} if "pattern" in node else {})}
    result = {k: v for k, v in node.items() if not k.startswith("x-kubernetes-") and k not in {"format", "description"}}
    if "properties" in node:
        result["properties"] = {name: json_schema(value) for name, value in node["properties"].items()}
        result["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            result[key] = json_schema(node[key])
    return result


def resolved(node: Any, pod: Schema) -> Any:
    """The source with the types of pod fields in their places."""
    if isinstance(node, list):
        return [resolved(each, pod) for each in node]
    if not isinstance(node, dict):
        return node
    if "$pod" in node:
        over = {key: value for key, value in node.items() if key != "$pod"}
        return merged(json_schema(pod_field(pod, node["$pod"])), over)
    result = {key: resolved(value, pod) for key, value in node.items()}
    if node.get("type") == "object" and "properties" in node:
        result = {"additionalProperties": False, "required": sorted(node["properties"])} | result
    return result


def with_descriptions(schema: Schema, described: dict[Keys, str], keys: Keys = ()) -> Schema:
    """The schema with what values.yaml says of each value, which editors show."""
    own = {"description": described[keys]} if keys in described else {}
    below = {
        name: with_descriptions(value, described, (*keys, name)) for name, value in schema.get("properties", {}).items()
    }
    return own | schema | ({"properties": below} if below else {})


def schema_of_values(source: Schema, pod: Schema, described: dict[Keys, str]) -> Schema:
    """The finished schema; a parent chart's `global` is nobody's business."""
    body = {key: value for key, value in source.items() if key != "$shared"}
    schema: Schema = with_descriptions(resolved(body, pod), described)
    schema["properties"]["global"] = {"description": "Set by a parent chart; not used.", "type": "object"}
    return schema


def dump(node: Any, indent: str = "") -> str:
    """JSON that a reader of a difference can follow: short values in a line, long ones a line each."""
    flat = json.dumps(node, ensure_ascii=False)
    if not isinstance(node, dict | list) or len(indent) + len(flat) <= WIDTH:
        return flat
    more = indent + "  "
    if isinstance(node, list):
        return "[\n" + ",\n".join(more + dump(each, more) for each in node) + f"\n{indent}]"
    pairs = (f"{more}{json.dumps(key)}: {dump(value, more)}" for key, value in node.items())
    return "{\n" + ",\n".join(pairs) + f"\n{indent}}}"


def generate() -> dict[Path, str]:
    """What belongs in which file."""
    text = VALUES.read_text()
    values, described = yaml.safe_load(text), comments(text)
    [version] = yaml.load(CRD.read_text(), yaml.CSafeLoader)["spec"]["versions"]
    runner = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    pod = runner["properties"]["template"]["properties"]["spec"]
    schema = schema_of_values(yaml.safe_load(SOURCE.read_text()), pod, described)
    return {
        CHART / "values.schema.json": dump(schema) + "\n",
        CHART / "README.md": readme((CHART / "README.md.gotmpl").read_text(), values, described),
    }


if __name__ == "__main__":
    sys.exit(main("Generate files of the chart.", "python -m hack.generate_chart", generate))
