"""What a pod's free threads can take makes no pod; what runs is left alone, until the drain timeout."""

import time

import pytest

from tests.e2e.kubernetes import wait_until
from tests.e2e.pool import Pool
from tests.e2e.taskqueue import UNDISTURBED
from tests.e2e.together import side_by_side


@side_by_side
def test_a_pod_with_free_threads_takes_what_comes_and_no_other_is_made(pool: Pool) -> None:
    pool.apply(maxThreads=4, maxReplicas=3)
    pool.enqueue(("long", 20.0, "busy"))
    pool.until_begun("busy")
    for number in range(3):  # never more than the three free threads
        names = [f"{number}{letter}" for letter in "abc"]
        pool.enqueue(*(("short", 2.0, name) for name in names))
        pool.until_begun(*names)
        wait_until(lambda: pool.queue.succeeded() == 3 * (number + 1), "they are done")  # noqa: B023 - called at once
    pool.until_succeeded()
    assert len(pool.history.uids()) == 1
    pool.until_gone()
    assert pool.history.interrupted() == []


@pytest.mark.slow
@side_by_side
def test_long_tasks_over_an_empty_queue_finish_once_however_short_the_idle_timeout(pool: Pool) -> None:
    pool.apply(idleTimeoutSeconds=1)
    names = [f"l{n}" for n in range(3)]
    pool.enqueue(*(("long", 25.0, name) for name in names))
    pool.until_succeeded()
    pool.until_gone()
    assert pool.queue.histories() == dict.fromkeys(names, UNDISTURBED)
    assert len(pool.history.uids()) == 3
    assert pool.history.interrupted() == []
    asked = [seen for seen in pool.history.all() if seen.asked]
    assert {seen.state for seen in asked} <= {"idle", "drained"}  # nobody was asked while it worked


@pytest.mark.slow
@side_by_side
def test_a_load_that_comes_and_goes_within_the_idle_timeout_makes_no_pod_twice(pool: Pool) -> None:
    pool.apply(maxReplicas=8, idleTimeoutSeconds=60)
    peak = 4
    pool.enqueue(*(("short", 8.0, f"first-{letter}") for letter in "abcd"))
    pool.until_succeeded()
    for period in range(3):
        begun = time.monotonic()
        pool.enqueue(*(("short", 8.0, f"{period}{letter}") for letter in "abcd"))
        time.sleep(begun + 20 - time.monotonic())
    pool.until_succeeded()
    assert len(pool.history.uids()) <= 1.2 * peak
    assert not any(seen.asked for seen in pool.history.all())


@pytest.mark.fault("workers", "a task longer than drainTimeoutSeconds")
@side_by_side
def test_a_drain_that_takes_too_long_hands_back_what_runs_and_an_event_says_so(pool: Pool) -> None:
    pool.apply(maxReplicas=1, drainTimeoutSeconds=5)
    pool.enqueue(("long", 20.0, "long"))
    pool.until_begun("long")
    pool.change(maxReplicas=0)
    wait_until(lambda: pool.queue.length() == 1, "the task is in the queue again")
    wait_until(lambda: "DrainTimeout" in {reason for reason, _, _ in pool.events()}, "an event says so")
    pool.until_gone()
    pool.change(maxReplicas=1)
    pool.until_succeeded(again=("long",))


@side_by_side
def test_shadow_tells_what_it_would_do_and_does_nothing(pool: Pool) -> None:
    pool.apply(mode="Shadow")
    pool.enqueue(("short", 0.5, "waits"))
    wait_until(lambda: pool.status().get("desiredReplicas") == 1, "status says what is wanted")
    assert pool.condition("Ready") == ("False", "Shadow")
    time.sleep(5)
    assert pool.history.uids() == set()
    pool.change(mode="Auto")
    pool.until_succeeded()


@pytest.mark.slow
@side_by_side
def test_paused_lets_idle_pods_stay_and_makes_none_for_one_that_goes(pool: Pool) -> None:
    pool.apply(minReplicas=2, idleTimeoutSeconds=1)
    pool.until_states("idle", "idle")
    pool.change(mode="Paused", minReplicas=0)
    wait_until(lambda: pool.condition("Ready") == ("False", "Paused"), "the runner says that it is paused")
    pool.kubectl("delete", "pod", "reports-0")
    time.sleep(10)
    assert list(pool.pods()) == ["reports-1"]
    assert not any(seen.asked for seen in pool.history.all())
    pool.enqueue(("short", 0.5, "taken"))  # workers go on
    pool.until_succeeded()
    pool.change(mode="Auto")
    pool.until_gone()


@pytest.mark.slow
def test_a_maximum_lowered_from_ten_to_four_under_a_full_queue_interrupts_nothing(pool: Pool) -> None:
    pool.apply(maxReplicas=10)
    long = [f"l{n}" for n in range(10)]
    pool.enqueue(*(("long", 60.0, name) for name in long))
    pool.until_begun(*long)
    pool.enqueue(*(("short", 1.0, f"s{n}") for n in range(20)))
    pool.change(maxReplicas=4)
    wait_until(lambda: pool.status().get("drainingReplicas") == 6, "six are asked to leave")
    lowered = len(pool.history.all())
    wait_until(lambda: len(pool.pods()) == 4, "the pool is at its maximum")
    pool.until_succeeded()
    pool.until_gone()
    assert len(pool.history.uids()) == 10
    assert pool.history.interrupted() == []
    assert {seen.asked.split(".")[0] for seen in pool.history.all()[:lowered] if seen.asked} == {"above-maximum"}
