"""Runners that cost the operator much, beside one that is looked at each second."""

import json
import time
from itertools import pairwise
from typing import Any

import pytest

from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.operator_process import Operator
from tests.integration.operator.pool_harness import manifest
from tests.integration.redis_server import RedisServer

WATCHED_SECONDS = 15.0
MOST_DELAY = 1.0  # seconds: what is promised
DEAF = 20  # runners whose broker takes connections and never answers
LARGE = {"metadata": {"annotations": {f"note-{n}": "x" * 10_000 for n in range(24)}}}  # 240 of 256 kB
MANY = [{"name": f"V{n}", "value": "x" * 3000} for n in range(250)]  # 750 kB: the resource has 1 MB


def counts(redis: RedisServer) -> int:
    """How often a queue's length was asked for."""
    told = redis.command("INFO", "commandstats", line="cmdstat_llen")
    return int(told.partition("calls=")[2].partition(",")[0] or 0)


def longest_gap(redis: RedisServer) -> float:
    """The longest time between two counts of the queue, of those seen in a while."""
    seen: list[float] = []
    known = -1
    ends = time.monotonic() + WATCHED_SECONDS
    while time.monotonic() < ends:
        if (number := counts(redis)) != known:
            seen.append(time.monotonic())
            known = number
        time.sleep(0.05)
    assert len(seen) > WATCHED_SECONDS / 3, "the good one is counted about each second"
    return max(later - earlier for earlier, later in pairwise(seen[1:]))


@pytest.mark.fault("input", "20 runners with a broker that never answers, and one of 1 MB, beside a good one")
def test_runners_that_cost_much_delay_no_other_by_a_second(
    operator: Operator, crd_installed: HalfCluster, redis: RedisServer, black_hole: str
) -> None:
    def apply(name: str, **spec: Any) -> None:
        body = json.loads(manifest(name, **spec))
        crd_installed.kubectl("create", "-n", operator.namespace, "-f", "-", input=json.dumps(body))

    # Work that nobody may take: it is counted each second, and not only when Redis tells of more.
    redis.command("RPUSH", "__pynenc__:good:broker:default_queue", "entry")
    apply("good", backend={"redis": {"url": redis.url}}, appId="good", mode="Paused")
    operator.until(
        "the good one is counted", lambda: "calls=" in redis.command("INFO", "commandstats", line="cmdstat_llen")
    )
    alone = longest_gap(redis)
    for number in range(DEAF):
        apply(f"deaf-{number}", backend={"redis": {"url": black_hole}}, appId=f"deaf-{number}")
    apply("x" * 50, backend={"redis": {"url": black_hole}}, template=LARGE, env=MANY, appId="large", minReplicas=2)
    beside_them = longest_gap(redis)
    print(f"longest time between two counts: {alone:.2f} s alone, {beside_them:.2f} s beside the others")
    assert beside_them < alone + MOST_DELAY
    assert "Traceback" not in operator.log()
