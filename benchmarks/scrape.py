"""What a page of metrics says. Pure."""

import math
from collections.abc import Iterator, Mapping

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

type Buckets = Mapping[float, float]  # observations up to each bound, by bound


def samples(page: str, name: str) -> Iterator[Sample]:
    """The series of one name. Only its lines are parsed: a fleet's page has tens of thousands."""
    lines = "\n".join(line for line in page.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
    for family in text_string_to_metric_families(lines + "\n"):
        yield from family.samples


def total(page: str, name: str, **labels: str) -> float:
    """The sum of the series of one name that have these labels."""
    return sum(each.value for each in samples(page, name) if labels.items() <= each.labels.items())


def buckets(page: str, histogram: str, **labels: str) -> Buckets:
    """The buckets of a histogram's series with these labels."""
    found = (each for each in samples(page, f"{histogram}_bucket") if labels.items() <= each.labels.items())
    return {float(each.labels["le"]): each.value for each in found}


def quantile(before: Buckets, after: Buckets, share: float) -> float | None:
    """The value below which a share of the observations between two pages lies; None if there are none.

    Between a bucket's bounds by proportion, and the highest finite bound for what is above it, as Prometheus'
    histogram_quantile() has it.
    """
    counts = sorted((bound, count - before.get(bound, 0.0)) for bound, count in after.items())
    if not counts or not counts[-1][1]:
        return None
    wanted, low, below = share * counts[-1][1], 0.0, 0.0
    for bound, count in counts:
        if count >= wanted:
            return low if math.isinf(bound) else low + (bound - low) * (wanted - below) / (count - below)
        low, below = bound, count
    return low
