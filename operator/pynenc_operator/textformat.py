"""A page in Prometheus' text format, of samples that nobody keeps. Pure.

Prometheus' client makes an object of each sample before it writes the line: of 1,000 runners' 88,000 that is most of a
second at each scrape, in which whatever is due waits for its turns at the interpreter.

Source: prometheus.io, "Exposition formats": text-based format.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from pynenc_operator.families import PREFIX, Distribution, Family, Kind

_LABELS_KEPT: Final = 4096  # of those that many samples have in common


def labels_text(names: Sequence[str], values: Sequence[str]) -> str:
    """Labels as they stand between the braces."""
    pairs = zip(names, values, strict=True)
    return ",".join([f'{name}="{_escaped(value).replace('"', r"\"")}"' for name, value in pairs])


class TextPage:
    """Lines by family, in the order in which the families are given."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = {family.name: family for family in families}
        self._lines = {name: [_head(family)] for name, family in self._families.items()}

    def add(self, name: str, owner: str, values: tuple[str, ...], value: float) -> None:
        """A sample. `owner`: labels that many have in common, as text; `values`: of the family's last labels."""
        family = self._families[name]
        labels = _joined(owner, _labels(family.labels[-len(values) :], values)) if values else owner
        self._lines[name].append(f"{_sample_name(family)}{{{labels}}} {float(value)}\n")

    def add_distribution(self, name: str, owner: str, seen: Distribution) -> None:
        """The samples of a histogram."""
        full, buckets = self._families[name].full_name, seen.cumulative()
        lines = [f'{full}_bucket{{{owner},le="{bound}"}} {count}\n' for bound, count in buckets]
        lines.append(f"{full}_count{{{owner}}} {buckets[-1][1]}\n{full}_sum{{{owner}}} {seen.total}\n")
        self._lines[name].append("".join(lines))

    def text(self) -> str:
        """The whole page."""
        return "".join(["".join(lines) for lines in self._lines.values()])


@lru_cache(_LABELS_KEPT)
def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    return labels_text(names, values)


def _joined(*labels: str) -> str:
    return ",".join(filter(None, labels))


def _sample_name(family: Family) -> str:
    suffix = "_total" if family.kind is Kind.COUNTER else ""
    return f"{PREFIX}{family.name}{suffix}"


def _head(family: Family) -> str:
    name = _sample_name(family)
    return f"# HELP {name} {_escaped(family.text)}\n# TYPE {name} {family.kind}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
