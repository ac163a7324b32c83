"""Scenarios that bring about the moments in which a rule is all that stands between a pod and its task.

Each varies with its dice, so that the moment is met from all sides.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from tests.unit.simulation import loads
from tests.unit.simulation.run import Timing
from tests.unit.simulation.scenario import Scenario

type Moment = Callable[[random.Random], Scenario]

SLOW = Timing(report=(0.1, 0.5), request=(0.01, 0.8))


def work_at_the_idle_timeout(rng: random.Random) -> Scenario:
    """Work comes just when the workers have been idle for long enough: it is taken while they are asked to leave."""
    idle_timeout = rng.choice((1, 1, 2, 4))
    period = idle_timeout + rng.uniform(0.9, 3.0)
    return Scenario(
        arrivals=loads.square_wave(rng.randint(1, 6), rng.uniform(0.3, 1.5), period, until=20),
        spec={"maxReplicas": 6, "maxThreads": rng.choice((1, 2)), "idleTimeoutSeconds": idle_timeout},
        timing=SLOW,
    )


def a_pin_to_and_fro(rng: random.Random) -> Scenario:
    """Drains are asked for, taken back and asked for again, while the workers' answers are under way."""
    changes, at = [], 8.0
    for number in range(rng.randint(4, 14)):
        changes.append((at, {"replicas": 5 if number % 2 else 1}))
        at += rng.uniform(0.1, 0.6) if number % 2 else rng.uniform(0.2, 0.5)
    return Scenario(
        arrivals=loads.stream(rng.uniform(3, 12), rng.uniform(0.05, 0.3), until=at),
        spec={"maxReplicas": 5, "replicas": 5, "idleTimeoutSeconds": 5},
        spec_changes=(*changes, (at, {"replicas": None})),
        # The watch is as late as workers' reports are, so that the operator decides on what is no longer so.
        timing=Timing(report=(0.3, 0.5), podinfo=(0.1, 0.2), watch=(0.2, 0.25), pickup=(0.0, 0.1)),
    )


def a_maximum_lowered_in_a_cold_start(rng: random.Random) -> Scenario:
    """Pods that the kubelet has not told about yet are deleted just when they could take work."""
    return Scenario(
        arrivals=loads.at_once((12, 5.0)),
        spec={"maxReplicas": 10, "idleTimeoutSeconds": 5},
        spec_changes=((rng.uniform(1.5, 4.0), {"maxReplicas": 2}),),
        timing=replace(
            SLOW,
            request=(0.01, rng.uniform(0.02, 0.8)),
            start=(0.5, 1.5),
            load=(0.2, 0.8),
            status=(0.5, 2.0),
        ),
    )


ALL: tuple[Moment, ...] = (
    work_at_the_idle_timeout,
    a_pin_to_and_fro,
    a_maximum_lowered_in_a_cold_start,
)
