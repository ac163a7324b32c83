"""What a worker says when, on a clock that the test moves."""

from dataclasses import replace

from pynenc_worker.activity import Activity, Observation, Report
from pynenc_worker.contract import WorkerState

QUIET = Observation(live=0, holding=False, started=0, last_ended=0.0, draining=False)
BUSY = Observation(live=1, holding=False, started=1, last_ended=0.0, draining=False)


def ended(at: float, started: int = 1) -> Observation:
    return replace(QUIET, started=started, last_ended=at)


def draining(seen: Observation, drain_id: str = "d") -> Observation:
    return replace(seen, draining=True, drain_id=drain_id)


def test_a_new_worker_is_idle_since_its_start() -> None:
    assert Activity(5.0).observe(replace(QUIET, last_ended=5.0), 6.0) == Report(WorkerState.IDLE, since=5.0)


def test_active_at_once() -> None:
    report = Activity(0.0).observe(BUSY, 100.0)
    assert report == Report(WorkerState.ACTIVE, since=100.0)
    assert report.active_invocations == 1


def test_idle_one_second_after_a_long_spell_and_since_its_end() -> None:
    activity = Activity(0.0)
    activity.observe(BUSY, 100.0)
    assert activity.observe(ended(150.0), 150.9).state is WorkerState.ACTIVE
    assert activity.observe(ended(150.0), 151.0) == Report(WorkerState.IDLE, since=150.0)


def test_idle_five_seconds_after_a_short_spell() -> None:
    activity = Activity(0.0)
    activity.observe(BUSY, 100.0)
    assert activity.observe(ended(101.0), 105.9).state is WorkerState.ACTIVE
    assert activity.observe(ended(101.0), 106.0).state is WorkerState.IDLE


def test_a_spell_that_becomes_long_while_waiting_ends_as_a_long_one() -> None:
    activity = Activity(0.0)
    activity.observe(BUSY, 100.0)
    assert activity.observe(ended(108.0), 109.9).state is WorkerState.ACTIVE
    assert activity.observe(ended(108.0), 110.0).state is WorkerState.IDLE


def test_a_task_in_a_short_gap_is_no_news() -> None:
    activity = Activity(0.0)
    first = activity.observe(BUSY, 100.0)
    activity.observe(ended(101.0), 103.0)
    again = activity.observe(replace(BUSY, started=2, last_ended=101.0), 104.0)
    assert again is first


def test_a_task_that_began_and_ended_between_two_looks_is_seen() -> None:
    activity = Activity(0.0)
    assert activity.observe(ended(100.0), 100.1).state is WorkerState.ACTIVE
    assert activity.observe(ended(100.0), 105.1) == Report(WorkerState.IDLE, since=100.0)


def test_more_threads_are_no_news() -> None:
    activity = Activity(0.0)
    first = activity.observe(BUSY, 100.0)
    assert activity.observe(replace(BUSY, live=3, started=3), 101.0) is first


def test_a_quiet_worker_answers_a_drain_with_the_id() -> None:
    report = Activity(0.0).observe(draining(QUIET), 10.0)
    assert report == Report(WorkerState.DRAINED, since=10.0, drain_answer="d")


def test_a_busy_worker_drains_first() -> None:
    activity = Activity(0.0)
    activity.observe(BUSY, 100.0)
    assert activity.observe(draining(BUSY), 101.0) == Report(WorkerState.DRAINING, since=101.0)
    assert activity.observe(draining(ended(102.0)), 102.1).drain_answer == "d"


def test_drained_needs_no_idle_report_before_it() -> None:
    activity = Activity(0.0)
    activity.observe(BUSY, 100.0)
    assert activity.observe(draining(ended(101.0)), 101.1).state is WorkerState.DRAINED


def test_drained_is_never_said_between_a_pop_and_its_threads_start() -> None:
    activity = Activity(0.0)
    held = replace(draining(QUIET), holding=True)
    assert activity.observe(held, 10.0).state is WorkerState.IDLE
    assert activity.observe(replace(held, live=1, started=1, holding=False), 10.2).state is WorkerState.DRAINING


def test_an_answer_given_is_taken_back_with_the_drain() -> None:
    activity = Activity(0.0)
    activity.observe(draining(ended(5.0)), 10.0)
    assert activity.observe(ended(5.0), 20.0) == Report(WorkerState.IDLE, since=5.0)


def test_a_second_drain_is_answered_with_its_own_id() -> None:
    activity = Activity(0.0)
    activity.observe(draining(QUIET, "one"), 10.0)
    assert activity.observe(draining(QUIET, "two"), 20.0).drain_answer == "two"


def test_a_busy_drain_taken_back_is_active_since_the_work_began() -> None:
    activity = Activity(0.0)
    activity.observe(BUSY, 100.0)
    activity.observe(draining(BUSY), 110.0)
    assert activity.observe(BUSY, 120.0) == Report(WorkerState.ACTIVE, since=100.0)


def test_a_stop_without_a_request_gives_no_answer() -> None:
    assert Activity(0.0).observe(draining(QUIET, ""), 1.0) == Report(WorkerState.DRAINED, since=1.0)


def test_a_signal_after_the_answer_is_no_news_and_new_work_takes_the_answer_back() -> None:
    activity = Activity(0.0)
    answered = activity.observe(draining(QUIET), 10.0)
    assert (answered.state, answered.drain_answer) == (WorkerState.DRAINED, "d")
    assert activity.observe(draining(QUIET, drain_id=""), 11.0) is answered
    assert activity.observe(draining(QUIET, drain_id="e"), 12.0).drain_answer == "e"
    assert activity.observe(replace(draining(QUIET), holding=True), 13.0).drain_answer == ""
