"""How the generator writes Kubernetes' types out and lays the project's own rules over them."""

import pytest

from hack.generate_crd import INT_OR_STRING, Schema, definition, merged, structural

DEFINITIONS: dict[str, Schema] = {
    "io.k8s.api.core.v1.PodSpec": {
        "type": "object",
        "description": "A pod.",
        "required": ["containers"],
        "properties": {
            "containers": {
                "type": "array",
                "items": {"$ref": "#/definitions/io.k8s.api.core.v1.Container"},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "x-kubernetes-patch-merge-key": "name",
                "x-kubernetes-patch-strategy": "merge",
            },
            "nodeSelector": {
                "type": "object",
                "additionalProperties": {"type": "string", "default": ""},
                "x-kubernetes-map-type": "atomic",
            },
        },
    },
    "io.k8s.api.core.v1.Container": {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "description": "Its name.", "default": ""},
            "limit": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
            "ports": {
                "type": "array",
                "items": {"type": "object", "properties": {"port": {"type": "integer", "format": "int32"}}},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["port"],
            },
        },
    },
}
POD = {"$ref": "#/definitions/io.k8s.api.core.v1.PodSpec"}


def source(schema: str) -> str:
    return "$variables: {limit: '10', reserved: IT == 'BIT' && IT != 'x'}\n$shared: {}\nschema:\n" + schema


def test_types_are_written_out_without_descriptions_and_defaults() -> None:
    assert structural(POD, DEFINITIONS) == {
        "type": "object",
        "required": ["containers"],
        "properties": {
            "containers": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string"},
                        "limit": INT_OR_STRING,
                        "ports": {
                            "type": "array",
                            "items": {"type": "object", "properties": {"port": {"type": "integer", "format": "int32"}}},
                        },
                    },
                },
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
            "nodeSelector": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "x-kubernetes-map-type": "atomic",
            },
        },
    }


def test_what_stands_beside_a_type_is_laid_over_it() -> None:
    text = """
      $kubernetes: PodSpec
      required: null
      description: The pods.
      properties:
        nodeSelector: null
        containers: {maxItems: 3, items: {properties: {name: {maxLength: 5}}}}
    """
    schema = definition(source(text), DEFINITIONS)["schema"]
    containers = schema["properties"]["containers"]
    assert set(schema) == {"type", "properties", "description"}
    assert set(schema["properties"]) == {"containers"}
    assert containers["maxItems"] == 3
    assert containers["items"]["properties"]["name"] == {"type": "string", "maxLength": 5}
    assert "limit" in containers["items"]["properties"]


def test_a_rule_on_a_field_that_kubernetes_does_not_have_is_an_error() -> None:
    with pytest.raises(KeyError, match="not a field of this type: containerz"):
        definition(source("  $kubernetes: PodSpec\n  properties: {containerz: {maxItems: 3}}"), DEFINITIONS)
    with pytest.raises(KeyError, match="ephemeralContainers"):
        definition(source("  $kubernetes: PodSpec\n  properties: {ephemeralContainers: null}"), DEFINITIONS)


def test_an_unknown_type_or_variable_is_an_error() -> None:
    with pytest.raises(KeyError, match="PodSpecs"):
        definition(source("  $kubernetes: PodSpecs"), DEFINITIONS)
    with pytest.raises(KeyError, match="limits"):
        definition(source("  rule: self <= ${limits}"), DEFINITIONS)


def test_variables_stand_for_their_text_and_take_a_name() -> None:
    text = "  rules: ['self <= ${limit}', '!(${reserved(self.name)})']"
    rules = definition(source(text), DEFINITIONS)["schema"]["rules"]
    assert rules == ["self <= 10", "!(self.name == 'BIT' && self.name != 'x')"]


def test_a_default_is_said_in_the_description() -> None:
    text = """
      a: {description: A., default: 1}
      b: {description: B., default: false}
      c: {description: C., default: Auto}
      d: {description: D., default: {x: 1}}
      e: {default: 1}
    """
    schema = definition(source(text), DEFINITIONS)["schema"]
    assert [schema[name].get("description") for name in "abcde"] == [
        "A. Default: 1.",
        "B. Default: false.",
        "C. Default: Auto.",
        "D.",
        None,
    ]


def test_merging_leaves_what_it_starts_from_alone() -> None:
    base: Schema = {"properties": {"a": {"type": "string"}, "b": {}}}
    over: Schema = {"properties": {"a": {"maxLength": 1}, "b": None}}
    assert merged(base, over) == {"properties": {"a": {"type": "string", "maxLength": 1}}}
    assert base == {"properties": {"a": {"type": "string"}, "b": {}}}
