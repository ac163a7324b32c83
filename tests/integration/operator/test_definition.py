"""An older CustomResourceDefinition on a real API server: nothing is done, and nothing is lost by a status."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import yaml

from pynenc_operator.clock import Clock
from pynenc_operator.definition import FIELDS
from pynenc_operator.kube import Kube, OutdatedDefinition
from pynenc_operator.kube_connection import Connection
from tests.cluster.half_cluster import HalfCluster
from tests.integration.conftest import CRD_FILE, until_served
from tests.integration.operator.pool_harness import Pool, manifest

type Json = dict[str, Any]

LACKING = ("env", "rollout", "failedPodsHistoryLimit")
ENV = [{"name": "COLOUR", "value": "green"}]


@pytest.fixture(scope="module")
def cluster() -> Iterator[HalfCluster]:
    """One of this module's own: a definition is everybody's."""
    with HalfCluster() as cluster:
        apply(cluster, right())
        until_served(cluster)
        yield cluster


@pytest.fixture
async def pool(cluster: HalfCluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    clock = Clock()
    connection = await Connection.open(clock, lambda *_: None)
    cluster.create_namespace("team")
    cluster.kubectl("create", "serviceaccount", "pynenc-worker", "-n", "team")
    cluster.kubectl("apply", "-n", "team", "-f", "-", input=manifest(minReplicas=1, env=ENV))
    yield Pool(Kube(connection), "team", clock.now)
    await connection.close()


def right() -> Json:
    definition: Json = yaml.safe_load(CRD_FILE.read_text())
    return definition


def older() -> Json:
    definition = copy.deepcopy(right())
    [version] = definition["spec"]["versions"]
    for name in LACKING:
        del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][name]
    return definition


def apply(cluster: HalfCluster, definition: Json) -> None:
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(definition))


async def served(pool: Pool, *, whole: bool) -> Json:
    """The runner, once it is served with or without what the older definition lacks."""
    for _ in range(300):
        found = await pool.runner()
        if ("env" in found["spec"]) is whole:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("the definition is not served")


async def test_with_an_older_definition_nothing_is_done_and_nothing_that_it_lacks_is_lost(
    cluster: HalfCluster, pool: Pool
) -> None:
    await pool.look()
    assert await pool.names() == ["reports-0"]
    seen = await pool.runner()
    await pool.kube.try_runner_fields("team", "reports", FIELDS)
    apply(cluster, older())
    cut = await served(pool, whole=False)
    assert cut["metadata"]["resourceVersion"] == seen["metadata"]["resourceVersion"]
    with pytest.raises(OutdatedDefinition, match=r"lacks spec\.env"):
        await pool.kube.patch_runner_status("team", "reports", {"replicas": 7}, seen["spec"])
    pool.depths.depth = 5
    for _ in range(3):
        with pytest.raises(OutdatedDefinition, match=r"lacks spec\.env, spec\.failedPodsHistoryLimit, spec\.rollout"):
            await pool.look()
    assert await pool.names() == ["reports-0"]
    events = json.loads(cluster.kubectl("get", "events.events.k8s.io", "-n", "team", "-o", "json").stdout)["items"]
    [told] = [event for event in events if event["reason"] == "DefinitionOutdated"]
    assert (told["type"], told["action"]) == ("Warning", "Refuse")
    assert "spec.env" in told["note"]
    apply(cluster, right())
    await served(pool, whole=True)
    await pool.look()
    assert len(await pool.names()) == 5  # the one that has not started brings a slot
    assert (await pool.runner())["spec"] == seen["spec"]
