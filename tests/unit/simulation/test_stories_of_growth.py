"""How many pods a load makes: not one for each short wait, and none twice."""

import random

import pytest

from tests.unit.simulation import loads
from tests.unit.simulation.run import Timing
from tests.unit.simulation.scenario import Scenario
from tests.unit.simulation.world import simulate

SEEDS = range(1, 6)
MIXED = loads.at_once((6, 90.0), (14, 2.0))


@pytest.mark.parametrize("seed", SEEDS)
def test_twenty_tasks_at_once_make_twenty_pods_and_none_twice(seed: int) -> None:
    found = simulate(Scenario(MIXED, {"maxReplicas": 30}), seed)
    assert found.created <= 20
    assert found.scale_downs == found.created


@pytest.mark.parametrize("seed", SEEDS)
def test_twenty_tasks_at_once_make_five_pods_of_four_threads(seed: int) -> None:
    found = simulate(Scenario(MIXED, {"maxReplicas": 30, "maxThreads": 4}), seed)
    assert found.created == 5


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slow_start_makes_no_more_pods(seed: int) -> None:
    slow = Timing(start=(25.0, 35.0), load=(1.0, 5.0))
    found = simulate(Scenario(MIXED, {"maxReplicas": 30}, timing=slow), seed)
    assert found.created <= 20


@pytest.mark.parametrize("seed", SEEDS)
def test_tasks_one_after_the_other_are_the_work_of_one_pod(seed: int) -> None:
    """For a second after each task its worker still says active: that is no reason for another pod."""
    found = simulate(Scenario(loads.stream(1 / 2.1, 2.0, until=200.0), {"maxReplicas": 50}), seed)
    assert found.created <= 3  # a start is slower than such a task


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_square_wave_does_not_make_the_pool_flap(seed: int, threads: int) -> None:
    peak = 12
    wave = loads.square_wave(peak, 8.0, period=20.0, until=600.0)
    found = simulate(Scenario(wave, {"maxReplicas": 30, "maxThreads": threads, "idleTimeoutSeconds": 60}), seed)
    assert found.created <= 1.2 * peak / threads


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fast_stream_of_short_tasks_does_not_ratchet_to_the_maximum(seed: int) -> None:
    """A few are queued at every count, and never the same ones: 20 tasks of 0.1 s a second, about 5 pods suffice."""
    stream = loads.stream(20.0, 0.1, until=240.0, begin=15.0)
    found = simulate(Scenario(stream, {"minReplicas": 5, "maxReplicas": 20}), seed)
    assert found.created <= 8
    assert max(found.waits) < 2.0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pool_that_has_grown_shrinks_under_a_fast_stream(seed: int) -> None:
    """Its cold start fills the queue, and so the pool. Were each worker given a task now and then, none would go."""
    stream = loads.stream(20.0, 0.1, until=240.0)
    found = simulate(Scenario(stream, {"maxReplicas": 20, "idleTimeoutSeconds": 20}), seed)
    assert found.pod_seconds / 240.0 < 10.0


def test_restarts_of_the_operator_cost_few_pods() -> None:
    rng = random.Random(1)  # noqa: S311 - dice of a test
    load = loads.merged(loads.poisson(rng, 0.4, 20.0, 300.0), loads.at_once((20, 5.0), at=100.0))
    spec = {"maxReplicas": 30, "idleTimeoutSeconds": 15}
    restarts = tuple((at, at + 5.0) for at in range(20, 300, 24))
    leaders = tuple((at, at + 12.0) for at in range(20, 300, 24))
    alone = simulate(Scenario(load, spec))
    assert simulate(Scenario(load, spec, restarts=restarts)).created <= 1.2 * alone.created
    assert simulate(Scenario(load, spec, second_leaders=leaders)).created <= 1.2 * alone.created


def test_a_pod_costs_three_writes_of_the_operator_and_four_of_its_worker() -> None:
    found = simulate(Scenario(((1.0, 5.0),), {"idleTimeoutSeconds": 10}))
    operator = {what: found.writes[what] for what in ("create", "annotate", "delete")}
    assert operator == {"create": 1, "annotate": 1, "delete": 1}
    assert found.writes["worker annotate"] == 4
