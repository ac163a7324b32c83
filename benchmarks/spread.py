"""How measured values spread, and in which order tries are made. Pure."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

STEPS_OF_POWER: Final = 50  # as fine as a power is told
HARDLY: Final = 0.05  # of the largest value: what grows by less is noise


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which a share (0 to 1) of the values lies, between two by their distance."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def spread(values: Sequence[float]) -> dict[str, float]:
    """How many values there are, and how they spread; a single value is its own median."""
    if not values:
        return {"n": 0}
    shares = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {"n": len(values), **{name: round(quantile(values, share), 4) for name, share in shares.items()}}


def interleaved(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """(name, number from 0) of all tries, those of each name spread evenly over the whole run."""
    tries = [((number + 0.5) / count, name, number) for name, count in counts.items() for number in range(count)]
    return [(name, number) for _, name, number in sorted(tries)]


def phases(count: int, period: float, seed: int) -> list[float]:
    """So many moments of a period, one in each equal part of it, shuffled: what is polled meets each try at another."""
    chance = random.Random(seed)  # noqa: S311 - nothing is to be kept secret
    moments = [(number + chance.random()) / count * period for number in range(count)]
    chance.shuffle(moments)
    return moments


def power(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The power of the size with which values grow above what they are at any size; 0 if it is hardly there.

    The best of value = constant + factor * size**power, neither negative, by the squares of the relative distances:
    without the constant, a program's own memory would hide how fast that of its objects grows.
    """
    grids = (n / STEPS_OF_POWER for n in range(1, 3 * STEPS_OF_POWER + 1))
    best = min((_fit(sizes, values, each) for each in grids), key=lambda fit: fit.distance)
    return best.power if best.factor * max(sizes) ** best.power >= HARDLY * max(values) else 0.0


@dataclass(frozen=True)
class _Fit:
    power: float
    factor: float
    distance: float


def _fit(sizes: Sequence[float], values: Sequence[float], power: float) -> _Fit:
    """The best of one power: a straight line over size**power, where a distance counts by the share of its value."""
    points = [(size**power, value, value**-2) for size, value in zip(sizes, values, strict=True)]
    weight = sum(w for _, _, w in points)
    x0, y0 = (sum(each[axis] * each[2] for each in points) / weight for axis in (0, 1))
    factor = sum(w * (x - x0) * (y - y0) for x, y, w in points) / sum(w * (x - x0) ** 2 for x, _, w in points)
    constant = y0 - factor * x0
    if constant < 0:
        constant, factor = 0.0, sum(w * x * y for x, y, w in points) / sum(w * x * x for x, _, w in points)
    if factor < 0:
        constant, factor = y0, 0.0
    return _Fit(power, factor, sum(w * (constant + factor * x - y) ** 2 for x, y, w in points))
