"""Pods that never come, hang or die: their place and their work are not lost."""

from dataclasses import replace

import pytest

from tests.unit.simulation import anything, loads, worstmoments
from tests.unit.simulation.run import Timing
from tests.unit.simulation.scenario import Fates, Scenario
from tests.unit.simulation.seeds import run_seed
from tests.unit.simulation.world import simulate

SEEDS = range(1, 6)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pending_pod_does_not_hold_the_only_place_for_ever(seed: int) -> None:
    story = Scenario(
        ((1.0, 5.0), (5.0, 5.0)),
        {"maxReplicas": 1, "startDeadlineSeconds": 60},
        fates=Fates(never_bound=1.0),  # of those made before the last task comes
    )
    found = simulate(story, seed)
    assert found.created == 2
    assert found.peak == 1
    assert found.done_at < 60.0 + 5.0 + 30.0


def test_a_worker_that_took_work_before_its_first_report_could_be_deleted_with_it() -> None:
    """Which is why the real one takes nothing until its report is accepted."""

    def incautious(seed: int) -> Scenario:
        return replace(anything.scenario(seed), cautious_workers=False)

    seeds = anything.seeds_of(worstmoments.a_maximum_lowered_in_a_cold_start, 2000)
    found = (seed for seed in seeds if run_seed(seed, incautious).busy_pods_deleted)
    assert run_seed(next(found)).problem == ""


@pytest.mark.parametrize("seed", SEEDS)
def test_one_idle_worker_that_hangs_beside_working_ones_is_replaced(seed: int) -> None:
    """The queue falls now and then, and that restarted the clock: waits of 101 s."""
    story = Scenario(
        loads.merged(loads.at_once((3, 1.0)), loads.stream(0.9, 2.5, until=240.0, begin=15.0)),
        {"minReplicas": 3, "maxReplicas": 3, "drainTimeoutSeconds": 10},
        hangs=((10.0, "reports-1"),),
        timing=Timing(pickup=(0.0, 0.2)),
    )
    found = simulate(story, seed)
    assert max(found.waits) < 30.0
    assert found.created == 4


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_only_worker_held_runs_again_within_20_seconds(seed: int) -> None:
    story = Scenario(((1.0, 30.0),), {"idleTimeoutSeconds": 5}, kills=((10.0, "reports-0"),))
    found = simulate(story, seed)
    assert found.executions == [2]
    assert found.done_at < 10.0 + 20.0 + 30.0


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_worker_held_that_died_without_an_operator_runs_again(seed: int) -> None:
    story = Scenario(((1.0, 30.0),), {"idleTimeoutSeconds": 5}, kills=((10.0, "reports-0"),), restarts=((8.0, 100.0),))
    found = simulate(story, seed)
    assert found.executions == [2]
    assert found.done_at < 100.0 + 20.0 + 30.0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_worker_that_crashes_at_import_starts_no_recovery(seed: int) -> None:
    story = Scenario(loads.at_once((3, 1.0), at=1.0), fates=Fates(crashes=1.0), spec_changes=((30.0, {"env": []}),))
    found = simulate(story, seed)
    assert found.named == 0
