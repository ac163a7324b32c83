"""The operator dies at any moment of a scale-up and a scale-down: the next one goes on from what the API says."""

import random
import time

import pytest

from tests.e2e.kubernetes import wait_until
from tests.e2e.pool import Pool
from tests.e2e.release import OPERATOR

DEATHS = 20
LONGEST_LIFE = 3.0  # seconds, from when it leads


@pytest.mark.slow
@pytest.mark.fault("operator", f"killed at {DEATHS} moments while a pool grew and shrank")
def test_dies_at_twenty_moments_of_growing_and_shrinking(pool: Pool) -> None:
    moments = random.Random(4)  # noqa: S311 - the same moments in each run
    pool.apply(maxReplicas=4, idleTimeoutSeconds=1)
    for death in range(DEATHS):
        [operator] = OPERATOR.pods().values()
        wait_until(lambda: OPERATOR.leader() == operator["metadata"]["name"], "it leads")  # noqa: B023 - called at once
        pool.enqueue(("short", 0.5, f"{death}-a"), ("short", 1.5, f"{death}-b"), ("long", 4.0, f"{death}-c"))
        time.sleep(moments.uniform(0, LONGEST_LIFE))
        OPERATOR.remove_without_a_word(operator["metadata"]["name"])
        wait_until(lambda: len(OPERATOR.pods()) == 1, "another one is made")
    pool.fault_is_over()
    pool.until_recovered(lambda: pool.status().get("replicas") == 4 or pool.queue.length() == 0, "all that is wanted")
    pool.until_succeeded()
    wait_until(lambda: pool.status().get("replicas") == 0, "the pool is at zero")
    assert pool.history.peak() <= 4
    assert pool.history.interrupted() == []
