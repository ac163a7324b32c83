"""An operator that comes to pools which are there already: it knows their pods from the start."""

from pathlib import Path

from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.operator_process import Operator
from tests.integration.operator.pool_harness import manifest
from tests.integration.operator.rest import Api
from tests.integration.redis_server import RedisServer


def test_it_knows_pods_that_have_nothing_new_to_say(
    operator: Operator, api: Api, crd_installed: HalfCluster, redis: RedisServer, tmp_path: Path
) -> None:
    runner = manifest(minReplicas=2, backend={"redis": {"url": redis.url}})
    crd_installed.kubectl("create", "-n", operator.namespace, "-f", "-", input=runner)

    def pods() -> list[str]:
        return [pod["metadata"]["uid"] for pod in api.ask("GET", api.pods)[1]["items"]]

    operator.until("it has its pods", lambda: len(pods()) == 2)
    for number in range(2):
        api.say(f"reports-{number}", "idle")
    operator.until("both are idle", lambda: api.runner("reports")["status"].get("idleReplicas") == 2)
    before = pods()
    operator.end()
    more = tmp_path / "new"
    more.mkdir()
    new = Operator(crd_installed, operator.namespace, more)
    try:
        new.until("it leads and has looked", lambda: new.of_runner("runner_pods", state="idle") == 2)
        generation = api.touch("reports")
        new.until("it has looked again", lambda: api.observed("reports") == generation)
    finally:
        new.end()
    assert pods() == before
    assert api.runner("reports")["status"]["idleReplicas"] == 2
