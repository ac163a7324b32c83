"""From one template to the next: no flapping, no gap in service, no working pod given up for one that fails."""

import pytest

from tests.unit.simulation import loads
from tests.unit.simulation.run import Timing
from tests.unit.simulation.scenario import Scenario
from tests.unit.simulation.world import simulate

NEW = "registry.example/reports:2"
BROKEN = "registry.example/reports:broken"
SEEDS = range(1, 6)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_new_pod_is_not_above_the_floor(seed: int) -> None:
    """It was created and deleted about once a second: 574 creates in 400 s."""
    story = Scenario((), {"minReplicas": 1, "idleTimeoutSeconds": 5}, spec_changes=((30.0, {"image": NEW}),))
    assert simulate(story, seed).created == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_an_idle_new_pod_stays_while_an_old_one_works(seed: int) -> None:
    """It was drained and made again, 18 times."""
    story = Scenario(((1.0, 300.0),), {"idleTimeoutSeconds": 5}, spec_changes=((30.0, {"image": NEW}),))
    found = simulate(story, seed)
    assert found.created == 2
    assert found.executions == [1]


@pytest.mark.parametrize("seed", SEEDS)
def test_busy_old_pods_leave_no_faster_than_new_ones_come(seed: int) -> None:
    """All at once they went within 2 s and outran the replacements: down to 1 of 10 workers, waits of 24 s."""
    load = loads.stream(4.0, 2.0, until=400.0)
    story = Scenario(
        load,
        {"minReplicas": 10, "maxReplicas": 10},
        timing=Timing(start=(20.0, 30.0)),
        spec_changes=((120.0, {"image": NEW}),),
    )
    found = simulate(story, seed)
    after = [wait for (at, _), wait in zip(load, found.waits, strict=True) if at > 115.0]
    assert max(after) < 12.0
    assert found.created == 20


@pytest.mark.parametrize("seed", SEEDS)
def test_working_pods_do_not_hide_that_new_ones_fail(seed: int) -> None:
    """Old healthy pods cleared the failures at each look: 657 creates in 10 minutes."""
    story = Scenario(
        loads.stream(1.0, 3.0, until=800.0),
        {"minReplicas": 3, "idleTimeoutSeconds": 30},
        broken_images=frozenset({BROKEN}),
        spec_changes=((60.0, {"image": BROKEN}), (700.0, {"image": NEW})),
    )
    found = simulate(story, seed)
    broken = [at for at, image in found.creations if image == BROKEN]
    assert sum(broken[0] < at <= broken[0] + 600.0 for at in broken) <= 5
    assert max(found.waits) < 15.0  # the old ones went on
    assert any(image == NEW for _, image in found.creations)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_wave_that_fails_together_is_one_failure(seed: int) -> None:
    """Six crashes of a cold start put the next try at 300 s."""
    story = Scenario(
        loads.at_once((6, 5.0)),
        {"image": BROKEN},
        broken_images=frozenset({BROKEN}),
        spec_changes=((700.0, {"image": NEW}),),
    )
    found = simulate(story, seed)
    first = found.creations[0][0]
    wave = [at for at, _ in found.creations if at < first + 3.0]
    later = [at for at, image in found.creations if image == BROKEN and at >= first + 3.0]
    assert len(wave) <= 6
    assert later[0] < wave[-1] + 15.0
    assert sum(at <= wave[-1] + 600.0 for at in later) <= 5
    assert found.done_at < 720.0  # the mended template needs no other touch
