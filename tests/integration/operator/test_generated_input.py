"""Resources as the schema allows them and as it does not, by the hundred: each is refused in words, or comes to rest.

Made with hypothesis from the CustomResourceDefinition's own schema, the same ones in each run. The API server refuses
what it does not like; what it accepts, the operator has to bear: no traceback, a condition that says how the runner
is, and a neighbour that is served as before.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pynenc_operator import labels
from tests.cluster.half_cluster import HalfCluster
from tests.integration.conftest import CRD_FILE
from tests.integration.operator.operator_process import Operator
from tests.integration.operator.pool_harness import manifest
from tests.integration.operator.rest import Api, condition
from tests.integration.operator.schema_strategies import ANYTHING, damaged, valid
from tests.integration.redis_server import RedisServer

type Json = dict[str, Any]

BATCH = 50
GOOD = "good"  # the neighbour
WITHIN = 120.0  # seconds for a batch, on a loaded machine
ACCEPTED, REFUSED = 201, {400, 422}


def schema() -> Json:
    """The schema of a runner's spec."""
    definition = yaml.load(CRD_FILE.read_text(), yaml.CSafeLoader)
    spec: Json = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


def resources(redis_url: str) -> st.SearchStrategy[Json]:
    """Specs, most of them with what is needed for being looked at at all: an app, an image, a backend that answers."""
    whole = schema()
    needed = {"app": "reports.tasks", "appId": "generated", "image": "localhost/none:1"}
    counted = st.integers(0, 15).map(lambda database: {"redis": {"url": f"{redis_url.rpartition('/')[0]}/{database}"}})
    # More pods than a handful in each would only take time: their number is bounded by other tests.
    few = st.fixed_dictionaries({"minReplicas": st.integers(0, 2), "maxReplicas": st.integers(0, 3)})
    looked_at = st.tuples(valid(whole), counted, few).map(
        lambda made: made[0] | needed | {"backend": made[1]} | made[2]
    )
    return st.one_of(
        looked_at, looked_at, looked_at, damaged(looked_at), valid(whole).map(_few), damaged(valid(whole)).map(_few)
    )


def _few(spec: Json) -> Json:
    """At most a pod, if it has a number for it."""
    for field in ("minReplicas", "replicas", "maxReplicas"):
        if isinstance(spec.get(field), int) and spec[field] > 1:
            spec[field] = 1
    return spec


def body(name: str, spec: Any) -> Json:
    kind = {"apiVersion": f"{labels.GROUP}/{labels.VERSION}", "kind": "MultiThreadRunner"}
    return {**kind, "metadata": {"name": name}, "spec": spec}


def story(resources_made: int, *marks: pytest.MarkDecorator) -> Any:
    told = pytest.mark.fault("input", f"{resources_made} generated resources, valid and not, beside a good one")
    return pytest.param(resources_made, marks=[told, *marks])


@pytest.mark.parametrize("resources_made", [story(200), story(2000, pytest.mark.slow, pytest.mark.timeout(1200))])
def test_each_is_refused_in_words_or_comes_to_rest(
    operator: Operator, api: Api, crd_installed: HalfCluster, redis: RedisServer, resources_made: int
) -> None:
    good = manifest(GOOD, backend={"redis": {"url": redis.url}})
    crd_installed.kubectl("apply", "-n", operator.namespace, "-f", "-", input=good)
    operator.until("the good one is Ready", lambda: bool(api.ready(GOOD)))
    told: Counter[str] = Counter()
    waiting: list[Any] = []

    @settings(
        max_examples=resources_made,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(resources(redis.url) | ANYTHING)
    def each(spec: Any) -> None:
        waiting.append(spec)
        if len(waiting) == BATCH:
            told.update(outcome_of(waiting, operator, api))
            waiting.clear()

    each()
    print(f"{resources_made} resources: {dict(sorted(told.items()))}")
    assert min(told["accepted"], told["refused"]) > resources_made / 10
    assert "Traceback" not in operator.log()
    assert operator.process.poll() is None


def outcome_of(specs: list[Any], operator: Operator, api: Api) -> Iterator[str]:
    """Make resources of these specs, wait until each is told of, and remove them; what came of each."""
    accepted = []
    for number, spec in enumerate(specs):
        code, answer = api.ask("POST", api.runners, body(f"generated-{number}", spec))
        if code == ACCEPTED:
            accepted.append(f"generated-{number}")
        else:
            assert code in REFUSED, (spec, answer)
            assert answer["message"], (spec, answer)
        yield "accepted" if code == ACCEPTED else "refused"
    operator.until(f"{len(accepted)} have a condition", lambda: all(api.ready(name) for name in accepted), WITHIN)
    for item in api.ask("GET", api.runners)[1]["items"]:
        found = condition(item)
        assert found["message"], item
        if item["metadata"]["name"] in accepted:
            yield f"Ready={found['status']} {found['reason']}"
    generation = api.touch(GOOD)
    operator.until("the good one is looked at", lambda: api.observed(GOOD) == generation)
    for name in accepted:
        api.ask("DELETE", f"{api.runners}/{name}")
    api.ask("DELETE", api.pods, {"gracePeriodSeconds": 0})
