"""What the operator costs others, and what a pod costs it: counted, so that one request more is seen.

A figure here goes up only for a reason that is worth it on a fleet of thousands.
"""

import json
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pynenc_operator.arrivals import CHECK_SECONDS
from pynenc_operator.backends import Backend, BackendKind
from pynenc_operator.brokerclients import BrokerClients
from pynenc_operator.invocationcounts import ASK_SECONDS
from pynenc_operator.kube import Kube
from pynenc_operator.kube_call import DRY_RUN, Call
from pynenc_operator.kube_connection import Connection
from pynenc_operator.model import Key
from pynenc_operator.podcache import PodCache
from pynenc_operator.questions import STATUSES
from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.conftest import opened
from tests.integration.operator.operator_process import Operator
from tests.integration.operator.pool_harness import Pool, manifest
from tests.integration.operator.rest import Api
from tests.integration.redis_server import RedisServer

RUNNERS = 60
FEW = 10  # looks that were under way when it was counted, and reads for counting
type Json = dict[str, Any]


class Measured(Connection):
    """A connection of which is known what went over it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.asked: Counter[str] = Counter()
        self.sent: dict[str, int] = {}  # the most bytes of a request
        self.read = 0  # bytes of answers

    async def _send(self, call: Call, timeout: float) -> Any:  # noqa: ASYNC109 - as it is there
        answer = await super()._send(call, timeout)
        what = f"{call.verb} {call.resource}" + (" dry" if DRY_RUN in call.query else "")
        self.asked[what] += 1
        self.sent[what] = max(self.sent.get(what, 0), len(json.dumps(call.body)) if call.body else 0)
        self.read += len(answer.data)
        return answer


@pytest.fixture
async def measured(crd_installed: HalfCluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Measured]:
    async with opened(Measured, crd_installed, monkeypatch) as connection:
        yield connection


@pytest.fixture
def pool(crd_installed: HalfCluster, namespace: str, measured: Measured, kube: Kube) -> Pool:
    """A runner whose reconciler's requests are measured, and not those of the test."""
    crd_installed.kubectl("create", "serviceaccount", "pynenc-worker", "-n", namespace)
    crd_installed.kubectl("apply", "-n", namespace, "-f", "-", input=manifest(idleTimeoutSeconds=1))
    pool = Pool(Kube(measured), namespace, measured.clock.now)
    pool.kube = kube
    return pool


async def test_the_life_of_a_pod(pool: Pool, measured: Measured) -> None:
    await pool.look()
    assert measured.asked == {
        "patch multithreadrunners/status dry": 1,  # of the definition, once for all specs
        "list pods": 1,
        "create pods dry": 1,  # once for a template
        "patch multithreadrunners/status": 1,
    }
    measured.asked.clear()
    pool.depths.depth = 1
    await pool.look()
    asked = Counter({"list pods": 1, "create pods": 1, "create events": 1, "patch multithreadrunners/status": 1})
    assert measured.asked == asked
    pool.depths.depth = 0
    await pool.report("reports-0", "idle", idle_for=5)
    measured.asked.clear()
    await pool.look()
    asked = Counter({"list pods": 1, "patch pods/status": 1, "create events": 1, "patch multithreadrunners/status": 1})
    assert measured.asked == asked
    await pool.report("reports-0", "drained")
    measured.asked.clear()
    await pool.look()
    assert measured.asked == {"list pods": 1, "delete pods": 1, "create events": 1}
    print(measured.sent)
    most = {
        "create pods": 2500,
        "patch pods/status": 120,
        "delete pods": 130,
        "patch multithreadrunners/status": 2000,
        "create events": 650,
    }
    assert {what: size for what, size in measured.sent.items() if size > most.get(what, 10_000)} == {}


async def test_a_pod_of_a_list_and_what_is_kept_of_it(pool: Pool, measured: Measured) -> None:
    pool.depths.depth = 20
    await pool.look()
    for name in await pool.names():
        await pool.report(name, "active", threads=1)
    await pool.look()
    measured.read = 0
    await Kube(measured).list_pods(pool.key.namespace, "pynenc.org/runner=reports")
    print(f"{measured.read / 20:.0f} bytes of an answer for each pod")
    assert measured.read / 20 < 3700
    shown = json.dumps(await pool.all())
    tracemalloc.start()
    try:
        cache = PodCache()
        for copy in range(20):
            pods: list[Json] = json.loads(shown)
            for pod in pods:
                pod["metadata"]["name"] += f"-{copy}"
                pod["metadata"]["uid"] += f"-{copy}"
                cache.apply_event({"type": "ADDED", "object": pod}, time.time())
            del pods, pod
        kept = tracemalloc.get_traced_memory()[0] / len(cache.of(Key(pool.key.namespace, "reports")))
    finally:
        tracemalloc.stop()
    print(f"{kept:.0f} bytes kept of each pod")
    assert kept < 1300


def queue_of(app: str, url: str) -> str:
    """The name of an app's queue in Redis."""
    broker = BrokerClients(allow_local=True, connections=1).broker(Backend(BackendKind.REDIS, url, app), 0.0)
    return str(broker.key.default_queue())


def by_status(took: float, runners: int) -> float:
    """How many commands counting invocations by status may take in so many seconds."""
    return (took / ASK_SECONDS + 1) * runners * len(STATUSES)


class Costs:
    """What an operator's process has asked for since the last time."""

    def __init__(self, operator: Operator, redis: RedisServer) -> None:
        self._operator = operator
        self._redis = redis
        self._before = self._now()

    def since(self) -> Counter[str]:
        before, self._before = self._before, self._now()
        return Counter({name: n - before[name] for name, n in self._before.items() if n > before[name]})

    def _now(self) -> Counter[str]:
        told: Counter[str] = Counter()
        for line in self._operator.scrape().splitlines():
            if line.startswith("pynenc_operator_reconciles_total"):
                told["looks"] += int(float(line.rsplit(" ", 1)[1]))
            if line.startswith("pynenc_operator_kube_api_requests_total"):
                what = "leases" if '"leases"' in line else line.split("{")[1].rsplit("}", 1)[0]
                told[what] += int(float(line.rsplit(" ", 1)[1]))
        told["reads"] = self._redis.reads()
        told["bytes"] = self._redis.traffic()
        return told + Counter({name: calls for name, calls in self._redis.calls().items() if name != "info"})

    def until_at_rest(self, runners: int) -> None:
        """Wait until each is looked at every 20 s only, and see that this is all that it costs."""

        def at_rest() -> bool:
            time.sleep(4)
            return self.since()["looks"] <= runners / 2

        self._operator.until("all are at rest", at_rest)
        self.since()
        began = time.monotonic()
        time.sleep(36)  # one look or two of each; with a pause of less than 18 s there would be more
        cost = self.since()
        took = time.monotonic() - began
        assert runners <= cost["looks"] <= 2 * runners + FEW
        assert took / 4 <= cost["leases"] <= took / 2 + 2
        checks = took / CHECK_SECONDS + 2
        assert cost["reads"] <= cost["looks"] + checks + FEW  # those of asking are in it
        looks = cost["looks"] + FEW
        assert cost["exec"] <= looks
        counting = ("srandmember", "llen", "lindex", "zcard", "zrange")
        assert max(cost[name] for name in counting) <= looks  # a look is one count
        assert cost["exists"] <= checks  # whether Redis is there still
        assert cost["scard"] <= by_status(took, runners)  # with a count of the queue: no read more
        print(f"{cost['bytes'] / cost['looks']:.0f} bytes to and from Redis for each look")
        assert cost["bytes"] <= 1200 * cost["looks"]  # commands with their keys' names and their answers
        known = {"looks", "leases", "reads", "bytes", "multi", "exec", "exists", "scard", *counting}
        assert cost.keys() <= known  # nothing of the API server


def create(cluster: HalfCluster, namespace: str, names: list[str], redis: RedisServer, **spec: Any) -> None:
    """Many runners on one Redis, each of an app of its own."""
    mine = [json.loads(manifest(name, appId=name, backend={"redis": {"url": redis.url}}, **spec)) for name in names]
    items = {"apiVersion": "v1", "kind": "List", "items": mine}
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(items))


def test_runners_whose_pods_work_rest_too_and_a_report_is_one_look_and_one_write(
    operator: Operator, api: Api, crd_installed: HalfCluster, redis: RedisServer
) -> None:
    names = [f"runner-{number}" for number in range(RUNNERS // 3)]
    create(crd_installed, operator.namespace, names, redis, minReplicas=1)
    operator.until("each has its pod", lambda: len(api.ask("GET", api.pods)[1]["items"]) == len(names))
    for name in names:
        api.say(f"{name}-0", "active")
    operator.until("all are Ready", lambda: all(api.ready(name).get("status") == "True" for name in names))
    costs = Costs(operator, redis)
    costs.until_at_rest(len(names))

    costs.since()
    for name in names:
        api.say(f"{name}-0", "idle")
    time.sleep(3)
    cost = costs.since()
    print(cost)
    written = 'code="200",resource="multithreadrunners/status",verb="patch"'
    assert cost[written] == len(names)
    assert {what for what in cost if what.startswith("code=")} == {written}
    assert len(names) <= cost["looks"] <= 2 * len(names)  # what is due anyway in that time is in it


def test_many_runners_at_rest_and_while_work_waits(
    operator: Operator, api: Api, crd_installed: HalfCluster, redis: RedisServer
) -> None:
    names = [f"runner-{number}" for number in range(RUNNERS)]
    create(crd_installed, operator.namespace, names, redis)
    operator.until("all are Ready", lambda: all(api.ready(name).get("status") == "True" for name in names))
    costs = Costs(operator, redis)
    costs.until_at_rest(RUNNERS)

    # Work that nobody may take: they are looked at every second, and each look is one count.
    for name in names:
        api.ask("PATCH", f"{api.runners}/{name}", {"spec": {"mode": "Paused"}})
        redis.command("RPUSH", queue_of(name, redis.url), "entry")
    time.sleep(12)
    costs.since()
    began = time.monotonic()
    time.sleep(5)
    cost = costs.since()
    assert cost["looks"] >= 4 * RUNNERS
    assert cost["llen"] <= cost["looks"] + RUNNERS
    assert cost["scard"] <= by_status(time.monotonic() - began, RUNNERS)
    # Asked for metrics now and then, of each app: the names of its queues, their heads, and since when these wait.
    since_when = 3 * cost["mget"]
    assert cost["reads"] - since_when <= cost["looks"] / 3  # they go together
