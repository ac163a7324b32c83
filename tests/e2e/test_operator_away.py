"""Workers go on without an operator, and the next one goes on from what the API says."""

from collections.abc import Iterator

import pytest

from tests.e2e import release
from tests.e2e.kubernetes import wait_until
from tests.e2e.pool import Pool


def test_an_operator_that_is_killed_under_load_leaves_nothing_undone(pool: Pool) -> None:
    pool.apply(maxReplicas=3)
    pool.enqueue(("long", 8.0, "long"))
    pool.until_begun("long")
    before = release.pods()
    release.kill()
    pool.enqueue(*(("short", 1.0, f"s{n}") for n in range(8)))
    pool.until_succeeded()
    pool.until_gone()
    assert release.pods().isdisjoint(before)
    assert pool.history.interrupted() == []
    assert pool.history.peak() <= 3


@pytest.fixture
def _installed_again() -> Iterator[None]:
    yield
    release.install()


@pytest.mark.usefixtures("_installed_again")
def test_an_uninstalled_operator_takes_no_worker_and_no_right_away(pool: Pool) -> None:
    pool.apply(minReplicas=1, maxReplicas=1)
    pool.until_states("idle")
    before = pool.history.uids()
    release.uninstall()
    wait_until(lambda: release.pods() == set(), "no operator is left")
    pool.enqueue(("long", 6.0, "meanwhile"))
    pool.history.wait_for(lambda seen: seen.state == "active", "the worker may still report")
    pool.until_succeeded()
    release.install()
    pool.change(minReplicas=0)
    pool.until_gone()
    assert pool.history.uids() == before
    assert pool.history.interrupted() == []
    wait_until(lambda: pool.status()["replicas"] == 0, "status says zero")
