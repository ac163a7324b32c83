"""How measured values spread, and in which order tries are made. Pure."""

import math
import random
from collections.abc import Mapping, Sequence


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


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The power of the size with which the values grow: the slope of a straight line through their logarithms."""
    points = [(math.log(size), math.log(value)) for size, value in zip(sizes, values, strict=True) if value > 0]
    x0, y0 = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    return float(sum((x - x0) * (y - y0) for x, y in points) / sum((x - x0) * (x - x0) for x, _ in points))
