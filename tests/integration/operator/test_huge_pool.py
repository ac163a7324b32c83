"""A pool of thousands, asked for by a slip: it keeps nobody waiting, and its author may think again."""

from typing import Any

import pytest

from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.operator_process import Operator
from tests.integration.operator.pool_harness import manifest
from tests.integration.operator.rest import Api
from tests.integration.redis_server import RedisServer

ASKED_FOR = 6000
MEANWHILE = 500  # of its pods, until another runner has its one: a second or two of the API server's
AFTERWARDS = 300  # until it is heard that no more are wanted


def count_pods(api: Api) -> int:
    """How many pods there are, as told with the first: the others are not fetched."""
    listed = api.ask("GET", f"{api.pods}?limit=1")[1]
    return len(listed["items"]) + int(listed["metadata"].get("remainingItemCount", 0))


def change(api: Api, name: str, **spec: Any) -> None:
    code, answer = api.ask("PATCH", f"{api.runners}/{name}", {"spec": spec})
    assert code == 200, answer


@pytest.mark.fault("input", "a pool of 6,000 pods asked for, beside one of one pod, and taken back")
@pytest.mark.slow
def test_it_keeps_no_other_waiting_and_stops_when_it_is_told(
    operator: Operator, api: Api, crd_installed: HalfCluster, redis: RedisServer
) -> None:
    for name in ("good", "huge"):
        mine = manifest(name, appId=name, backend={"redis": {"url": redis.url}}, maxReplicas=ASKED_FOR)
        crd_installed.kubectl("apply", "-n", operator.namespace, "-f", "-", input=mine)
    operator.until("both are Ready", lambda: all(api.ready(name) for name in ("good", "huge")))
    change(api, "huge", minReplicas=ASKED_FOR)
    operator.until("many are made", lambda: count_pods(api) >= 1100)
    before = count_pods(api)
    change(api, "good", minReplicas=1)
    operator.until("the good one has its pod", lambda: api.ask("GET", f"{api.pods}/good-0")[0] == 200)
    meanwhile = count_pods(api) - before
    change(api, "huge", mode="Paused")
    told = count_pods(api)
    operator.until("it is paused", lambda: api.ready("huge").get("reason") == "Paused")
    afterwards = count_pods(api) - told
    print(f"pods of the huge one: {meanwhile} until the other had its own, {afterwards} after it was told to stop")
    assert meanwhile < MEANWHILE
    assert afterwards < AFTERWARDS
    assert "Traceback" not in operator.log()
