"""Workers whose reports do not get through for a minute: they work on, none is deleted while busy, then they report."""

import time

import pytest

from tests.e2e import usercode
from tests.e2e.faults.api_proxy import ApiProxy, Asked
from tests.e2e.pool import Pool
from tests.e2e.together import side_by_side

FAULT_SECONDS = 60.0
IDLE_SECONDS = 20  # until a pod that has said that it is idle is asked to leave


def of_a_worker(asked: Asked) -> bool:
    return asked.agent == "pynenc-worker" and asked.method == "PATCH"


def work_without_reports(pool: Pool, status: int) -> None:
    """While reports are answered so, a pod that stands as busy ends its task, and one that stands as idle takes one."""
    with ApiProxy.to_cluster() as proxy:
        usercode.hold(pool, "early", maxReplicas=2, idleTimeoutSeconds=IDLE_SECONDS, env=proxy.environment)
        pool.queue.let_end("brief")
        pool.enqueue(("long", 0, "brief"))
        pool.until_states("active", "idle")
        before = pool.history.uids()
        proxy.answer(status, which=of_a_worker)
        broken_from = time.monotonic()
        pool.enqueue(("long", 0, "late"))
        pool.until_begun("late")
        assert pool.queue.where("late") == "reports-1"
        pool.queue.let_end("early")
        pool.history.wait_for(lambda seen: seen.name == "reports-1" and bool(seen.asked), "what seems idle is asked")
        time.sleep(max(0.0, broken_from + FAULT_SECONDS - time.monotonic()))
        assert proxy.done[str(status)] > 1
        assert pool.states() == ["active", "idle"]  # as it was when they could tell
        assert pool.history.uids() == before
        proxy.heal()
        pool.fault_is_over()
        pool.until_recovered(lambda: set(pool.states()) <= {"active", "draining"}, "the busy one says what it does")
        pool.queue.let_end("late")
        pool.until_succeeded()
        pool.until_gone()
        assert pool.history.uids() == before
        assert pool.history.interrupted() == []


@pytest.mark.fault("workers", f"reports of a busy and an idle pod answered 500 for {FAULT_SECONDS:.0f} s, both at work")
@pytest.mark.slow
@side_by_side
def test_reports_that_fail_for_a_minute_are_made_afterwards(pool: Pool) -> None:
    work_without_reports(pool, 500)


@pytest.mark.fault("workers", f"tokens of a busy and an idle pod refused for {FAULT_SECONDS:.0f} s, both at work")
@pytest.mark.slow
@side_by_side
def test_tokens_that_are_refused_for_a_minute_are_taken_afterwards(pool: Pool) -> None:
    work_without_reports(pool, 401)
