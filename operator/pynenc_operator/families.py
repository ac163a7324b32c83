"""What a metric is: its name, kind, help and labels. Pure; docs/metrics.md is generated from these.

Names begin with `pynenc_operator_`. Labels have few values: never a pod's name or uid, an invocation's
id or an exception's text. `runner_namespace` and not `namespace`: Prometheus gives the target its own.
"""

from collections import Counter as Amounts
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import Final

PREFIX: Final = "pynenc_operator_"
OF_RUNNER: Final = ("runner_namespace", "runner")

# Requests and looks: from what nobody notices to the longest deadline.
REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# Pods: from a warm node to one that has to be bought first.
POD_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
# Drains: as long as the task that still runs.
DRAIN_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


class Kind(StrEnum):
    """Prometheus' kinds of metrics."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric; a counter's name goes without its `_total`. `buckets`: of a histogram, upper bounds in seconds."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """As Prometheus' client takes it."""
        return PREFIX + self.name

    @property
    def sample_name(self) -> str:
        """As its samples are called; those of a histogram have a suffix each."""
        return f"{self.full_name}_total" if self.kind is Kind.COUNTER else self.full_name


@dataclass(slots=True)
class Distribution:
    """A histogram's contents, held as plain numbers: where it is dropped, no series stays."""

    bounds: Sequence[float]
    total: float = 0.0
    _counts: Amounts[float] = field(default_factory=Amounts)

    def observe(self, value: float) -> None:
        """Take a value in; a negative one, of two clocks that disagree, is 0."""
        seconds = max(0.0, value)
        self.total += seconds
        self._counts[next((bound for bound in self.bounds if seconds <= bound), float("inf"))] += 1

    def cumulative(self) -> list[tuple[str, float]]:
        """Upper bounds, the last of them +Inf, with how many values are not above each."""
        sums = accumulate(self._counts[bound] for bound in (*self.bounds, float("inf")))
        return list(zip([*map(str, self.bounds), "+Inf"], map(float, sums), strict=True))
