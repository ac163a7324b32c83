"""When the definition is asked about, and that the question names every field of it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from pynenc_operator.definition import AGAIN_SECONDS, FIELDS, Definition
from pynenc_operator.kube_errors import Forbidden, OutdatedDefinition, from_answer
from pynenc_operator.model import Key
from pynenc_operator.podcache import RunnerCache
from tests.cluster.paths import ROOT

type Json = dict[str, Any]

KEY = Key("team", "reports")
REFUSED = "spec.backend.rustvello"  # whatever is in it: no resource has it
KUBERNETES_OWN = ("spec.env.", "spec.envFrom.", "spec.template.metadata.", "spec.template.spec.")


def runner(generation: int, **spec: object) -> Json:
    meta = {"namespace": "team", "name": "reports", "uid": "u", "resourceVersion": "7", "generation": generation}
    return {"metadata": meta, "spec": spec}


def fields_of_schema(schema: Json, path: str = "") -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}{name}"
        yield from fields_of_schema(inner.get("items", inner), f"{path}{name}.")


def fields_of(value: Any, path: str = "") -> Iterator[str]:
    inner = value[0] if isinstance(value, list) else value
    for name, below in inner.items() if isinstance(inner, dict) else ():
        yield f"{path}{name}"
        yield from fields_of(below, f"{path}{name}.")


def ours(fields: Iterator[str]) -> set[str]:
    return {field for field in fields if not field.startswith(KUBERNETES_OWN)}


def test_it_names_every_field_of_the_definition() -> None:
    definition = yaml.safe_load((ROOT / "crds" / "multithreadrunners.pynenc.org.yaml").read_text())
    [version] = definition["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    wanted = {part: {"properties": {part: schema[part]}} for part in ("spec", "status")}
    for part, its in wanted.items():
        assert ours(fields_of({part: FIELDS[part]})) == ours(fields_of_schema(its)) - {REFUSED}


class FakeKube:
    """Answers what it is told to."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked = 0

    async def try_runner_fields(self, *_: object) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.error:
            raise self.error


def refusal() -> OutdatedDefinition:
    return OutdatedDefinition("it lacks spec.env", verb="patch", resource="multithreadrunners/status", status=422)


class World:
    def __init__(self) -> None:
        self.kube = FakeKube()
        self.runners = RunnerCache()
        self.now = 0.0
        self.definition = Definition(self.kube, self.runners, lambda: self.now)  # type: ignore[arg-type]

    async def asks(self, times: int = 1) -> int:
        """How often the server is asked when so many looks begin at once."""
        before = self.kube.asked
        await asyncio.gather(*(self.definition.check(KEY) for _ in range(times)))
        return self.kube.asked - before


@pytest.fixture
def world() -> World:
    return World()


async def test_one_question_for_all_specs_that_have_come_and_none_at_rest(world: World) -> None:
    for number in range(20):
        body = runner(1, app=number)
        body["metadata"]["name"] = f"r{number}"
        world.runners.put(body)
    assert await world.asks(20) == 1
    world.runners.put(runner(1, app="a"))
    assert await world.asks() == 1
    world.runners.put({**runner(1, app="a"), "status": {"replicas": 1}})
    world.runners.replace(world.runners.known(), [runner(1, app="a")])
    assert await world.asks() == 0


async def test_a_spec_that_the_definition_has_cut_is_asked_about_though_its_generation_is_the_same(
    world: World,
) -> None:
    whole, cut = runner(1, app="a", env=[]), runner(1, app="a")
    world.runners.put(whole)
    await world.asks()
    world.runners.put(cut)
    assert await world.asks() == 1
    world.runners.replace(world.runners.known(), [whole])
    assert await world.asks() == 1


async def test_a_refusal_holds_for_all_runners_and_is_tried_again_in_a_while_or_when_a_spec_changes(
    world: World,
) -> None:
    world.runners.put(runner(1, app="a"))
    world.kube.error = refusal()
    for _ in range(5):
        with pytest.raises(OutdatedDefinition, match=r"spec\.env"):
            await world.asks()
    assert world.kube.asked == 1
    world.now += AGAIN_SECONDS
    with pytest.raises(OutdatedDefinition):
        await world.asks()
    world.kube.error = None
    world.runners.put(runner(1, app="a", env=[]))
    assert await world.asks() == 1
    assert await world.asks() == 0


async def test_a_refused_write_raises_doubt(world: World) -> None:
    world.runners.put(runner(1, app="a"))
    await world.asks()
    world.definition.doubt()
    assert await world.asks() == 1


async def test_without_the_right_to_write_a_status_nothing_can_be_asked_nor_lost(world: World) -> None:
    world.runners.put(runner(1, app="a"))
    world.kube.error = Forbidden("no", verb="patch", resource="multithreadrunners/status", status=403)
    assert await world.asks() == 1
    assert await world.asks() == 0


def test_of_the_servers_message_only_the_fields_are_kept() -> None:
    said = '"" is invalid: patch: Invalid value: "{\\"url\\":\\"redis://:secret@r\\", unknown field \\"a\\"": '
    said += 'strict decoding error: unknown field "spec.env", unknown field "spec.rollout.maxSurge"'
    body = {"message": said, "reason": "Invalid"}
    error = from_answer(422, body, verb="patch", resource="multithreadrunners/status", namespace="team", name="reports")
    assert isinstance(error, OutdatedDefinition)
    assert error.message.endswith("lacks spec.env, spec.rollout.maxSurge")
    assert "secret" not in str(error)
