"""The API server goes and comes back: workers work on and report afterwards, and no pod is made or deleted wrongly."""

import time

import pytest

from tests.cluster import interruption
from tests.cluster.node import PAUSE_IMAGE
from tests.cluster.paths import ClusterPaths
from tests.e2e import usercode
from tests.e2e.kubernetes import kubectl, wait_until
from tests.e2e.pool import Pool

WORKERS = 10
GONE_SECONDS = 30


def gone(pool: Pool, seconds: float = GONE_SECONDS) -> None:
    """No API server for so long; returns when the platform is itself again, which takes it up to a minute.

    Its node may count as lost for a moment, and then Services lead nowhere: Redis has to answer, too.
    """
    paths = ClusterPaths.current()
    interruption.kill(paths, interruption.API_SERVER)
    time.sleep(seconds)
    interruption.start(paths, interruption.API_SERVER)
    kubectl("run", "probe", f"--image={PAUSE_IMAGE}")
    kubectl("wait", "pod/probe", "--for=condition=Ready", "--timeout=110s")
    kubectl("delete", "pod", "probe", "--now", "--wait=false")
    pool.queue.until_it_answers()
    pool.fault_is_over()


@pytest.mark.fault("api-server", f"killed for {GONE_SECONDS} s at zero pods")
def test_killed_at_zero(pool: Pool) -> None:
    pool.apply()
    wait_until(lambda: pool.condition("Ready") == ("True", "AtZero"), "it is Ready at zero")
    gone(pool)
    pool.enqueue(("short", 0.5, "task"))
    pool.until_recovered(pool.queue.executions, "the task begins")
    pool.until_succeeded()
    assert len(pool.all_uids()) == 1


@pytest.mark.fault("api-server", f"killed for {GONE_SECONDS} s while ten pods are made")
@pytest.mark.slow
def test_killed_in_the_middle_of_a_scale_up(pool: Pool) -> None:
    pool.apply(maxReplicas=WORKERS)
    pool.enqueue(*(("long", 3.0, f"l{n}") for n in range(4 * WORKERS)))
    wait_until(lambda: len(pool.pods()) > 2, "some pods are there")
    gone(pool)
    pool.until_recovered(lambda: pool.condition("Ready")[0] == "True", "it is Ready")
    pool.until_succeeded()
    wait_until(lambda: pool.status().get("replicas") == 0, "the pool is at zero")


@pytest.mark.fault("api-server", f"killed for {GONE_SECONDS} s under ten busy workers")
@pytest.mark.slow
def test_killed_under_ten_busy_workers(pool: Pool) -> None:
    usercode.write(pool, usercode.WAITS)
    pool.apply(maxReplicas=WORKERS, template=usercode.template())
    pool.enqueue(*(("long", 0, f"held-{n}") for n in range(WORKERS)))
    pool.until_begun(*(f"held-{n}" for n in range(WORKERS)))
    before = pool.all_uids()
    gone(pool)
    pool.until_recovered(lambda: pool.states() == ["active"] * WORKERS, "all work on")
    assert pool.all_uids() == before
    pool.queue.let_end(*(f"held-{n}" for n in range(WORKERS)))
    pool.until_succeeded()
    wait_until(lambda: pool.status().get("replicas") == 0, "the pool is at zero")
