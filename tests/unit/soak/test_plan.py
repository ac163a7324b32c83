"""The plan of a long run: of the seed alone, each fault in time and in turn."""

import itertools

import pytest

from tests.soak import plan
from tests.soak.plan import DURATIONS, KILLED_BEFORE, KILLS, MINUTE, RUNNERS, Kind

SEEDS = range(8)


def test_the_same_seed_makes_the_same_plan_and_another_one_another() -> None:
    assert plan.make(7, 30) == plan.make(7, 30)
    assert plan.make(7, 30).arrivals != plan.make(8, 30).arrivals
    assert plan.make(7, 30).faults != plan.make(8, 30).faults


@pytest.mark.parametrize("minutes", [3, 6, 30, 90])
def test_load_and_faults_end_before_the_rest_begins(minutes: float) -> None:
    for seed in SEEDS:
        made = plan.make(seed, minutes)
        assert made.ends == minutes * MINUTE
        assert 1.5 * MINUTE <= made.ends - made.loaded <= 5 * MINUTE
        assert all(0 <= arrival.at < made.loaded for arrival in made.arrivals)
        assert all(0 <= fault.at <= fault.at + fault.seconds <= made.loaded for fault in made.faults)


def test_in_half_an_hour_each_kind_of_fault_comes_and_lasts_as_long_as_it_may() -> None:
    for seed in SEEDS:
        faults = plan.make(seed, 30).faults
        assert {fault.kind for fault in faults} == set(Kind)
        for fault in faults:
            shortest, longest = DURATIONS[fault.kind]
            assert shortest <= fault.seconds <= longest
            assert 0 <= fault.pool < len(RUNNERS)


def test_faults_come_one_after_the_other() -> None:
    for seed in SEEDS:
        others = [fault for fault in plan.make(seed, 30).faults if fault.kind is not Kind.OPERATOR_KILLED]
        assert all(first.at + first.seconds < then.at for first, then in itertools.pairwise(others))


def test_the_operator_is_killed_in_the_first_minutes_only() -> None:
    for seed in SEEDS:
        kills = [fault for fault in plan.make(seed, 30).faults if fault.kind is Kind.OPERATOR_KILLED]
        assert len(kills) == KILLS
        assert all(fault.at < KILLED_BEFORE - MINUTE / 2 for fault in kills)


def test_each_runner_has_short_and_long_tasks_bursts_and_quiet_times() -> None:
    for seed in SEEDS:
        made = plan.make(seed, 30)
        assert [arrival.at for arrival in made.arrivals] == sorted(arrival.at for arrival in made.arrivals)
        for pool in range(len(RUNNERS)):
            mine = [arrival for arrival in made.arrivals if arrival.pool == pool]
            assert {kind for arrival in mine for kind, _ in arrival.tasks} == {"short", "long"}
            assert max(len(arrival.tasks) for arrival in mine) >= 8
            assert max(then.at - first.at for first, then in itertools.pairwise(mine)) >= 15
