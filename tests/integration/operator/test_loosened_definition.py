"""A CustomResourceDefinition that somebody has loosened, on a real API server: what it lets through is refused here."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import yaml

from pynenc_operator.clock import Clock
from pynenc_operator.kube import Kube
from pynenc_operator.kube_connection import Connection
from pynenc_operator.specfields import SpecInvalid
from tests.cluster.half_cluster import HalfCluster
from tests.integration.conftest import CRD_FILE, until_served
from tests.integration.operator.pool_harness import Pool, manifest

type Json = dict[str, Any]

STRANGE: Json = {"maxThreads": "many", "template": {"spec": {"containers": ["worker"]}}}


@pytest.fixture(scope="module")
def cluster() -> Iterator[HalfCluster]:
    """One of this module's own: a definition is everybody's."""
    definition = yaml.load(CRD_FILE.read_text(), yaml.CSafeLoader)
    [version] = definition["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    anything = {"x-kubernetes-preserve-unknown-fields": True}
    spec["properties"] |= dict.fromkeys(("maxThreads", "template"), anything)
    del spec["x-kubernetes-validations"]
    with HalfCluster() as cluster:
        cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(definition))
        until_served(cluster)
        cluster.create_namespace("team")
        cluster.kubectl("create", "serviceaccount", "pynenc-worker", "-n", "team")
        yield cluster


@pytest.fixture
async def pool(cluster: HalfCluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    clock = Clock()
    connection = await Connection.open(clock, lambda *_: None)
    yield Pool(Kube(connection), "team", clock.now)
    await connection.close()


@pytest.mark.fault("input", "specs that only a loosened definition lets through")
async def test_nothing_is_done_for_it_and_an_event_names_the_field_until_it_is_mended(
    cluster: HalfCluster, pool: Pool
) -> None:
    right: Json = {"maxThreads": 1, "minReplicas": 1}
    for wrong, field in (("maxThreads", "spec.maxThreads"), ("template", "spec.template.spec.containers[0]")):
        cluster.kubectl("apply", "-n", "team", "-f", "-", input=manifest(**right | {wrong: STRANGE[wrong]}))
        for _ in range(3):
            with pytest.raises(SpecInvalid) as refused:
                await pool.look()
            assert refused.value.field == field
        assert await pool.names() == []
    found = json.loads(cluster.kubectl("get", "events.events.k8s.io", "-n", "team", "-o", "json").stdout)["items"]
    told = sorted(event["note"].partition(" has to be ")[0] for event in found if event["reason"] == "SpecInvalid")
    assert told == ["spec.maxThreads", "spec.template.spec.containers[0]"]
    cluster.kubectl("apply", "-n", "team", "-f", "-", input=manifest(**right))
    await pool.look()
    assert await pool.names() == ["reports-0"]
