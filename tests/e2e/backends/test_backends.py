"""What holds on Redis holds on every backend, with both lines of pynenc: the same stories, told on each."""

import time
from collections.abc import Callable

import pytest

from tests.e2e.backends.backendpool import BackendPool
from tests.e2e.backends.served import BACKENDS
from tests.e2e.history import WORKERS
from tests.e2e.kubernetes import wait_until
from tests.e2e.taskqueue import UNDISTURBED
from tests.e2e.together import side_by_side

type Story = Callable[[BackendPool], None]


def on_each_backend(story: Story) -> Callable[..., None]:
    """Make tests of a story, one for each backend: the fixture `together` makes the pool on it."""
    test = pytest.mark.usefixtures("backend")(side_by_side(story))
    return pytest.mark.parametrize("backend", BACKENDS, ids=str)(test)


@on_each_backend
def test_the_pool_follows_the_queue_and_every_task_runs_once(pool: BackendPool) -> None:
    pool.enqueue(("short", 0.5, "first"))  # a SQLite file is there from now on
    queues = {"queues": ["default"]} if pool.backend.names_queues else {}
    if queues:
        pool.apply(maxReplicas=4, queues=["gpu"])
        wait_until(lambda: pool.status().get("queueDepth") == 0, "its queue is counted, and no other")
        assert pool.condition("Ready") == ("True", "AtZero")
        assert pool.pods() == {}
    pool.apply(maxReplicas=4, **queues)
    pool.until_seen()
    pool.enqueue(*(("long", 10.0, f"l{n}") for n in range(3)), *(("short", 0.5, f"s{n}") for n in range(15)))
    pool.until_begun("l0")
    workers = pool.kubectl("get", "pods", "-l", WORKERS, "-o", "yaml")
    assert "reports-0" in workers
    pool.until_succeeded()
    pool.until_gone()

    assert all(history == UNDISTURBED for history in pool.queue.histories().values())
    assert pool.condition("BrokerReachable") == ("True", "Counted")
    assert pool.status()["queueDepth"] == 0
    assert pool.history.peak() == 4
    assert pool.history.interrupted() == []
    if pool.served.secret:
        assert pool.served.secret not in pool.kubectl("get", "mtr,events", "-o", "yaml") + workers


@pytest.mark.slow
@on_each_backend
def test_a_backend_that_goes_away_under_a_task_changes_nothing_and_work_goes_on_after_it(pool: BackendPool) -> None:
    pool.enqueue(("long", 12.0, "held"))
    pool.apply(maxReplicas=2)
    pool.until_begun("held")
    pool.enqueue(("long", 12.0, "held too"))
    pool.until_begun("held too")
    before = pool.all_uids()
    reachable = str(pool.served.counted_meanwhile)
    with pool.served.away():
        wait_until(lambda: pool.condition("BrokerReachable")[0] == reachable, "whether it can be counted is told")
        time.sleep(15)  # both tasks end meanwhile
        assert pool.condition("BrokerReachable")[0] == reachable
        assert pool.all_uids() == before
    pool.fault_is_over()
    pool.until_recovered(lambda: pool.condition("BrokerReachable") == ("True", "Counted"), "it is counted")
    pool.enqueue(*(("short", 0.5, f"after-{n}") for n in range(4)))
    pool.until_succeeded()
    pool.until_gone()
    assert pool.history.interrupted() == []


@pytest.mark.slow
@on_each_backend
def test_a_task_whose_pod_is_lost_runs_again(pool: BackendPool) -> None:
    pool.enqueue(("long", 20.0, "lost"))
    pool.apply(maxReplicas=1)
    pool.until_begun("lost")
    pool.remove_by_force("reports-0")
    pool.enqueue(("short", 0.5, "after"))
    pool.until_succeeded(again=("lost",), why="its pod was lost")
    pool.until_gone()
