"""A node is drained, and a node is lost: busy workers finish or their tasks run again, and others serve elsewhere.

These need a cluster of two nodes. Redis and the operator stay on the first one.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster import interruption
from tests.cluster.node import Node, nodes, nodes_of
from tests.cluster.paths import ClusterPaths
from tests.e2e import usercode
from tests.e2e.audit import Audit
from tests.e2e.conftest import MakePool
from tests.e2e.kubernetes import Json, kubectl, wait_until
from tests.e2e.pool import Pool
from tests.e2e.release import OPERATOR
from tests.e2e.taskqueue import UNDISTURBED
from tests.integration.redis_server import RedisServer

pytestmark = [pytest.mark.two_nodes, pytest.mark.slow, pytest.mark.timeout(1200)]

FIRST, SECOND = nodes(2)
BUSY = tuple(f"busy-{n}" for n in range(5))
IDLE = 5
HERE, LOST = ("here-0", "here-1"), ("lost-0", "lost-1", "lost-2")
SERVING = 7  # two busy ones here, three busy and two idle ones on the node that is lost
# The control plane calls a node lost when it has heard nothing of it for 50 s.
TOLERATED = [
    {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    for what in ("not-ready", "unreachable")
]
HEARTBEAT_STILL = 300  # seconds: two minutes without a beat, looked at every half minute, and a slow machine


@pytest.fixture(scope="session")
def operator(operator: None) -> None:  # noqa: ARG001
    """The operator, on the first node."""
    present = nodes_of(ClusterPaths.current())
    assert present == (FIRST, SECOND), "not a cluster of two nodes: `python -m tests.cluster up --nodes 2` starts one"
    OPERATOR.install(rf"nodeSelector.kubernetes\.io/hostname={FIRST.name}")


@pytest.fixture
def pool(make_pool: MakePool, redis: RedisServer) -> Pool:
    """A pool whose Redis is no pod, but a process in the nodes' network."""
    return make_pool(redis.url)


@contextmanager
def closed(node: Node) -> Iterator[None]:
    """New pods go to the other node."""
    kubectl("cordon", node.name)
    try:
        yield
    finally:
        kubectl("uncordon", node.name)


@contextmanager
def without_power(node: Node) -> Iterator[None]:
    """Everything of a node has ended without a word; afterwards it is back, and Ready."""
    paths = ClusterPaths.current()
    interruption.cut_power(paths, node)
    try:
        yield
    finally:
        interruption.restore_power(paths, node)


def on(pool: Pool, node: Node) -> dict[str, Json]:
    """The pods of a node that are not being deleted, by uid."""
    return {pod["metadata"]["uid"]: pod for pod in pool.pods().values() if pod["spec"].get("nodeName") == node.name}


def state(pod: Json) -> str:
    return str(pod["metadata"].get("annotations", {}).get("pynenc.org/worker-state", ""))


def states(pool: Pool, node: Node) -> list[str]:
    """What the workers of a node say of themselves."""
    return sorted(state(pod) for pod in on(pool, node).values())


@pytest.mark.fault("cluster", "a node drained under five busy and five idle workers")
def test_a_node_that_is_drained_loses_its_idle_workers_and_keeps_its_busy_ones_to_their_end(pool: Pool) -> None:
    size = len(BUSY) + IDLE
    with closed(FIRST):
        usercode.hold(pool, *BUSY, minReplicas=size, maxReplicas=size)
        wait_until(lambda: states(pool, SECOND) == ["active"] * len(BUSY) + ["idle"] * IDLE, "five are busy, five idle")
    before = on(pool, SECOND)
    idle = {uid for uid, pod in before.items() if state(pod) == "idle"}
    drain = ["kubectl", "drain", SECOND.name, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=600s"]
    with subprocess.Popen(drain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as draining:
        try:
            pool.history.wait_for(lambda seen: seen.terminating, "the first one is evicted")
            pool.fault_is_over()
            pool.until_recovered(lambda: states(pool, FIRST) == ["idle"] * size, "as many serve on the other node")
            wait_until(lambda: not idle & pool.all_uids(), "the idle ones are gone")
            pool.enqueue(*(("short", 0, f"next-{n}") for n in range(3)))
            pool.until_begun("next-0", "next-1", "next-2")
            assert before.keys() - idle <= pool.all_uids()
            assert draining.poll() is None  # it waits for the busy ones
            assert pool.queue.succeeded() == 0
            pool.queue.let_end(*BUSY, "next-0", "next-1", "next-2")
            pool.until_succeeded()
            said, _ = draining.communicate(timeout=120)
            assert draining.returncode == 0, said
        finally:
            draining.kill()
            kubectl("uncordon", SECOND.name)
    assert set(map(tuple, pool.queue.histories().values())) == {tuple(UNDISTURBED)}
    assert not before.keys() & pool.all_uids()
    assert len(pool.history.uids()) == 2 * size  # one in the place of each
    assert pool.history.peak() <= size
    assert "failures" not in pool.status()
    assert "Recover" not in {action for _, action, _ in pool.events()}


@pytest.mark.fault("cluster", "a node lost with three busy and two idle workers, whose pods hang in Terminating")
def test_a_lost_nodes_workers_are_replaced_and_their_tasks_run_again_and_its_return_changes_nothing(pool: Pool) -> None:
    template = usercode.template()
    template["spec"]["tolerations"] = TOLERATED
    with closed(SECOND):
        usercode.hold(pool, *HERE, maxReplicas=SERVING + 1, template=template)
    with closed(FIRST):
        pool.enqueue(*(("long", 0, name) for name in LOST))
        pool.until_begun(*LOST)
        pool.change(minReplicas=SERVING)
        wait_until(lambda: states(pool, SECOND) == ["active"] * 3 + ["idle"] * 2, "three are busy, two idle")
    lost = on(pool, SECOND)
    with without_power(SECOND):
        pool.enqueue(("short", 0, "meanwhile"))
        wait_until(lambda: not on(pool, SECOND), "the control plane has given the node's pods up")
        pool.fault_is_over()
        pool.until_recovered(lambda: len(states(pool, FIRST)) >= SERVING and all(states(pool, FIRST)), "others serve")
        pool.until_begun("meanwhile")
        pool.until_begun(*LOST, times=2, seconds=HEARTBEAT_STILL)
        wait_until(lambda: pool.condition("RecoveryPending") == ("", ""), "nothing waits to be recovered")
        audit, made = Audit(), pool.history.uids()
        hanging = lost.keys() & pool.all_uids()
        assert hanging == lost.keys()
        pool.queue.let_end(*HERE, "meanwhile")
        pool.enqueue(*(("short", 0, f"after-{n}") for n in range(3)))
        pool.until_begun(*(f"after-{n}" for n in range(3)))
        assert pool.history.uids() == made  # the free ones have taken them
        assert pods_written(audit, pool) == 0
    wait_until(lambda: not lost.keys() & pool.all_uids(), "the lost pods are gone")
    pool.queue.let_end(*LOST, *(f"after-{n}" for n in range(3)))
    pool.until_succeeded(again=LOST, why="its node was lost")
    assert all(pool.queue.histories()[name] == UNDISTURBED for name in (*HERE, "meanwhile"))
    names = {pod["metadata"]["name"] for pod in lost.values()}
    assert {line.split()[1] for line in pool.history.interrupted()} <= names
    assert pool.history.peak() <= SERVING + 1
    pool.change(minReplicas=0)
    pool.until_gone()


def pods_written(audit: Audit, pool: Pool) -> int:
    """How often the operator has written a pod."""
    asked = audit.of(OPERATOR.account, pool.namespace)
    return sum(n for (verb, what), n in asked.items() if what.startswith("pods") and verb not in {"list", "watch"})
