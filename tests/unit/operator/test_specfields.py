"""Specs that the API server would have refused: each is read, or an error names the field; nothing else is raised."""

import copy
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from hack.generate_crd import CRD
from pynenc_operator.podspec import build_worker_pod, service_account, template_hash
from pynenc_operator.resource import parse_spec
from pynenc_operator.runnerspec import RunnerSpec
from pynenc_operator.specfields import SpecInvalid
from tests.integration.operator.schema_strategies import ANYTHING, damaged, valid
from tests.unit.operator.resources import runner

type Json = dict[str, Any]

DEFINITION: Json = yaml.load(CRD.read_text(), yaml.CSafeLoader)
SCHEMA: Json = DEFINITION["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
NEEDED: Json = {"app": "reports.tasks", "appId": "reports", "backend": {"redis": {"url": "redis://redis:6379"}}}
# One for each way to be wrong: another type, nothing, too little, not one of those known.
WRONG: tuple[Any, ...] = (None, True, -1, 1.5, "", "nonsense", [], [1], [{}], {}, {"x": 1})


def with_defaults(schema: Json, value: Any) -> Any:
    """What the API server makes of a value: defaults where there is nothing."""
    if not isinstance(value, dict):
        return value
    fields = schema.get("properties", {})
    filled = {name: copy.deepcopy(field["default"]) for name, field in fields.items() if "default" in field} | value
    return {name: with_defaults(fields.get(name, {}), inner) for name, inner in filled.items()}


def accepted(made: Json) -> Json:
    """A spec as it would be if the API server took it whatever it holds."""
    whole: Json = with_defaults(SCHEMA, made)
    return whole


VALID = valid(SCHEMA).map(lambda made: made | copy.deepcopy(NEEDED))  # damaged() writes to what it is given


def read(spec: Any) -> RunnerSpec:
    """Read a spec as the operator does, and do with it what is done without looking at it again."""
    found = parse_spec(spec)
    body = runner() | {"spec": spec}
    assert template_hash(spec)
    assert service_account(spec)
    assert build_worker_pod(body, "reports-0")["metadata"]["name"] == "reports-0"
    return found


def named(spec: Any) -> str | None:
    """The field that the error names; None if the spec can be read."""
    try:
        read(spec)
    except SpecInvalid as error:
        return error.field if error.field in str(error) else ""
    return None


@given(VALID)
def test_what_the_schema_allows_can_be_read(made: Json) -> None:
    spec = accepted(made)
    assume("replicas" in spec["onBrokerDown"] or spec["onBrokerDown"]["action"] == "Hold")  # one of its CEL rules
    assert read(spec).max_replicas == spec["maxReplicas"]


@settings(max_examples=500)
@given((damaged(VALID) | damaged(damaged(VALID)) | valid(SCHEMA)).map(accepted) | ANYTHING)
@example({})
@example(accepted(NEEDED | {"template": {"spec": {"containers": ["worker"]}}}))
@example(accepted(NEEDED | {"template": {"spec": {"containers": [{"name": "worker", "env": [{"name": []}]}]}}}))
@example(accepted(NEEDED | {"template": {"spec": {"containers": [{"name": "worker", "ports": {}}]}}}))
@example(accepted(NEEDED | {"template": {"spec": {"volumes": [{"name": {}}]}}}))
def test_any_other_is_read_or_the_error_names_the_field(made: Any) -> None:
    field = named(made)
    assert field is None or field.startswith("spec")


def places(spec: Json, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [(*path, name) for name in spec]
    for name, value in spec.items():
        if isinstance(value, dict):
            found += places(value, (*path, name))
    return found


SPEC: Json = runner(
    scaleUp={"maxPods": 5, "periodSeconds": 10},
    onBrokerDown={"action": "Replicas", "replicas": 3, "afterSeconds": 60},
    replicas=2,
    startDeadlineSeconds=60,
)["spec"]


@given(st.sampled_from(places(SPEC)), st.sampled_from(WRONG) | ANYTHING)
def test_the_field_that_is_named_is_the_one_that_is_wrong(place: tuple[str, ...], wrong: Any) -> None:
    spec: Any = copy.deepcopy(SPEC)
    inner = spec
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = wrong
    field = named(spec)
    if field is not None:
        told = tuple(field.split("."))[1:]
        assert told[: len(place)] == place or place[: len(told)] == told


@pytest.mark.parametrize("place", [place for place in places(SPEC) if place[:1] != ("onBrokerDown",)], ids=".".join)
def test_a_field_of_another_type_is_refused_wherever_it_stands(place: tuple[str, ...]) -> None:
    spec: Any = copy.deepcopy(SPEC)
    inner = spec
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = None
    assert named(spec) == ".".join(("spec", *place))


def test_a_field_that_is_missing_is_named_and_no_value_is_told() -> None:
    for name in ("app", "minReplicas", "mode", "rollout", "backend"):
        spec = {key: value for key, value in SPEC.items() if key != name}
        with pytest.raises(SpecInvalid, match=rf"^spec\.{name} has to be "):
            parse_spec(spec)
    with pytest.raises(SpecInvalid) as refused:
        parse_spec(SPEC | {"backend": {"redis": {"url": "redis://:hunter2@redis", "urlFrom": {}}}})
    assert refused.value.field == "spec.backend.redis"
    assert "hunter2" not in str(refused.value)
