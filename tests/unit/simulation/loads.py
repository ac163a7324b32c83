"""Arrivals of tasks: (when, how long it runs), in seconds."""

import random

from tests.unit.simulation.scenario import Arrivals


def at_once(*groups: tuple[int, float], at: float = 1.0) -> Arrivals:
    """`groups` of (how many, how long), all at one moment."""
    return tuple((at, seconds) for count, seconds in groups for _ in range(count))


def stream(per_second: float, seconds: float, until: float, begin: float = 1.0) -> Arrivals:
    """Evenly spaced tasks of `seconds`."""
    count = int((until - begin) * per_second)
    return tuple((begin + number / per_second, seconds) for number in range(count))


def square_wave(count: int, seconds: float, period: float, until: float, begin: float = 1.0) -> Arrivals:
    """`count` tasks of `seconds` at once, again every `period`."""
    times = [begin + number * period for number in range(int((until - begin) / period))]
    return tuple((time, seconds) for time in times for _ in range(count))


def poisson(rng: random.Random, per_second: float, longest: float, until: float, begin: float = 1.0) -> Arrivals:
    """Independent tasks, most of them short, up to `longest`."""
    found, time = [], begin + rng.expovariate(per_second)
    while time < until:
        found.append((time, longest ** rng.random() - 0.9))
        time += rng.expovariate(per_second)
    return tuple(found)


def merged(*parts: Arrivals) -> Arrivals:
    return tuple(sorted(arrival for part in parts for arrival in part))
