"""Generate the CustomResourceDefinition, and the chart's copy of it, from hack/crd/multithreadrunner.yaml.

The source holds our own schema; what a pod template may hold comes from the API description of the
Kubernetes version that the local cluster is built from (a Go module, so its checksum is pinned).
That part is written out whole, so that a misspelt field is an error at `kubectl apply`, and without
descriptions and defaults: with descriptions the resource is too large for `kubectl apply`, and
defaults that the API server fills in would change the template that the user wrote.

    python -m hack.generate_crd            write the files
    python -m hack.generate_crd --check    exit 1 if they are not what this would write
"""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from hack.generated import ROOT, GenerateError, main

SOURCE = ROOT / "hack" / "crd" / "multithreadrunner.yaml"
KUBERNETES = ROOT / "tests" / "cluster" / "programs" / "kubernetes"  # its go.mod pins the version
CRD = ROOT / "crds" / "multithreadrunners.pynenc.org.yaml"
CHART_TEMPLATE = ROOT / "charts" / "pynenc-operator" / "templates" / "crd-multithreadrunners.yaml"
DOWNLOAD_SECONDS = 300
DOWNLOAD_TRIES = 2

type Schema = dict[str, Any]

CORE = "io.k8s.api.core.v1."
QUANTITY = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$"
INT_OR_STRING: Schema = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
# Types that are more than their API description says.
SPECIAL: dict[str, Schema] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": INT_OR_STRING,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": INT_OR_STRING | {"pattern": QUANTITY},
}


def kubernetes_module() -> dict[str, str]:
    """What Go says of the pinned module k8s.io/kubernetes: from its module cache, or downloaded into it."""
    command = ["go", "mod", "download", "-json", "k8s.io/kubernetes"]
    cause = ""
    for _ in range(DOWNLOAD_TRIES):
        try:
            done = subprocess.run(
                command, cwd=KUBERNETES, capture_output=True, text=True, check=True, timeout=DOWNLOAD_SECONDS
            )
        except FileNotFoundError as error:
            raise GenerateError("there is no Go here: `make machine` says how to get it") from error
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            cause = str(error.stderr or error).strip()
        else:
            module: dict[str, str] = json.loads(done.stdout)
            return module
    raise GenerateError(
        f"the Go module k8s.io/kubernetes can't be had: {cause}. Run it again where Go's module proxy can be "
        "reached (`go env GOPROXY`), or after `make programs`"
    )


def kubernetes_definitions(module_dir: Path) -> dict[str, Schema]:
    """The type definitions of Kubernetes' API description."""
    swagger = json.loads((module_dir / "api" / "openapi-spec" / "swagger.json").read_text())
    definitions: dict[str, Schema] = swagger["definitions"]
    return definitions


def list_semantics(raw: Schema, expanded: Schema) -> Schema:
    """How Kubernetes merges a list or map, as far as a custom resource may say so.

    The keys of a list-map have to be required or defaulted, and defaults are left out here.
    """
    if raw.get("x-kubernetes-list-type") == "map":
        keys = raw["x-kubernetes-list-map-keys"]
        if set(keys) <= set(expanded["items"].get("required", [])):
            return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
    elif raw.get("x-kubernetes-list-type") == "set":
        return {"x-kubernetes-list-type": "set"}
    elif raw.get("x-kubernetes-map-type") == "atomic" and raw["type"] == "object":
        return {"x-kubernetes-map-type": "atomic"}
    return {}


def structural(raw: Schema, definitions: dict[str, Schema]) -> Schema:
    """Write a Kubernetes type out whole as a structural schema, without descriptions and defaults."""
    if "$ref" in raw:
        name = raw["$ref"].removeprefix("#/definitions/")
        return copy.deepcopy(SPECIAL[name]) if name in SPECIAL else structural(definitions[name], definitions)
    expanded: Schema = {key: raw[key] for key in ("type", "format", "enum", "required") if key in raw}
    if "properties" in raw:
        expanded["properties"] = {name: structural(value, definitions) for name, value in raw["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in raw:
            expanded[key] = structural(raw[key], definitions)
    return expanded | list_semantics(raw, expanded)


def merged(base: Schema, over: Schema) -> Schema:
    """Lay one schema over another: objects are merged, null removes, everything else replaces.

    KeyError where null removes, or `properties` refine, what is not there: a new Kubernetes may have
    moved it, and a rule on a field that is gone would hold nothing.
    """
    result = dict(base)
    for key, value in over.items():
        if value is None:
            del result[key]
        elif key == "properties" and key in result:
            if unknown := sorted(set(value) - set(result[key])):
                raise KeyError(f"not a field of this type: {', '.join(unknown)}")
            result[key] = merged(result[key], value)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def resolved(node: Any, definitions: dict[str, Schema], variables: dict[str, str]) -> Any:
    """Resolve ``$kubernetes``, ``${variable}`` and ``${variable(x)}`` in the source."""
    if isinstance(node, str):
        return re.sub(
            r"\$\{(\w+)(?:\(([\w.]+)\))?\}",
            lambda match: re.sub(r"\bIT\b", match[2], variables[match[1]]) if match[2] else variables[match[1]],
            node,
        )
    if isinstance(node, list):
        return [resolved(item, definitions, variables) for item in node]
    if isinstance(node, dict):
        own = {key: resolved(value, definitions, variables) for key, value in node.items() if key != "$kubernetes"}
        if "$kubernetes" not in node:
            return own
        return merged(structural(definitions[CORE + node["$kubernetes"]], definitions), own)
    return node


def explained(node: Any) -> Any:
    """Say each default in the description too: `kubectl explain` shows nothing else of it."""
    if isinstance(node, list):
        return [explained(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: explained(value) for key, value in node.items()}
    if isinstance(result.get("description"), str) and isinstance(node.get("default"), int | str):
        result["description"] += f" Default: {json.dumps(node['default']).strip('"')}."
    return result


def definition(source: str, definitions: dict[str, Schema]) -> Schema:
    """The finished CustomResourceDefinition."""
    document = yaml.safe_load(source)
    variables = document.pop("$variables")
    document.pop("$shared")
    result: Schema = explained(resolved(document, definitions, variables))
    return result


class PlainDumper(yaml.SafeDumper):
    """YAML without anchors, which reads alike in every tool."""

    def ignore_aliases(self, data: Any) -> bool:
        """Repeat what stands twice."""
        _ = data
        return True


def dump(document: Schema) -> str:
    """One document as YAML in the order it was written in."""
    return yaml.dump(document, Dumper=PlainDumper, sort_keys=False, width=120, allow_unicode=True)


def generate() -> dict[Path, str]:
    """What belongs in which file."""
    print("reading the pod template of Kubernetes (a Go module; downloaded once) ...", flush=True)
    module = kubernetes_module()
    crd = definition(SOURCE.read_text(), kubernetes_definitions(Path(module["Dir"])))
    origin = (
        f"Generated by `make crd` from hack/crd/ and the pod template of Kubernetes {module['Version']}: don't edit."
    )
    name, spec = crd["metadata"]["name"], dump({"spec": crd["spec"]})
    if "{{" in spec:
        raise GenerateError("the schema contains {{, which Helm would take for a template: word it differently")
    chart = (
        f"{{{{- /* {origin} */ -}}}}\n{{{{- if .Values.crds.enabled }}}}\n"
        f"apiVersion: {crd['apiVersion']}\nkind: {crd['kind']}\nmetadata:\n  name: {name}\n"
        "  {{- if .Values.crds.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n"
        f"{spec}{{{{- end }}}}\n"
    )
    return {CRD: f"# {origin}\n{dump(crd)}", CHART_TEMPLATE: chart}


if __name__ == "__main__":
    sys.exit(main("Generate the CustomResourceDefinition and the chart's copy of it.", "make crd", generate))
