"""A page in Prometheus' text format, of samples that nobody keeps. Pure.

Prometheus' client makes an object of each sample before it writes the line: of 1,000 runners' 88,000 that is most of a
second at each scrape, in which whatever is due waits for its turns at the interpreter.

Source: prometheus.io, "Exposition formats": text-based format.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from pynenc_operator.families import Distribution, Family

_LABELS_KEPT: Final = 4096  # of those that many samples have in common


def labels_text(names: Sequence[str], values: Sequence[str]) -> str:
    """Labels as they stand between the braces."""
    pairs = zip(names, values, strict=True)
    return ",".join([f'{name}="{_escaped(value).replace('"', r"\"")}"' for name, value in pairs])


class TextPage:
    """Lines by family, in the order in which the families are given."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._named = {family.name: (family.sample_name, family.labels) for family in families}
        self._lines = {family.name: [_head(family)] for family in families}

    def add(self, name: str, owner: str, values: tuple[str, ...], value: float) -> None:
        """A sample. `owner`: labels that many have in common, as text; `values`: of the family's last labels."""
        sample, names = self._named[name]
        labels = f"{owner},{_labels(names[-len(values) :], values)}" if values else owner
        self._lines[name].append(f"{sample}{{{labels}}} {float(value)}\n")

    def add_distribution(self, name: str, owner: str, seen: Distribution) -> None:
        """The samples of a histogram."""
        (sample, _), buckets = self._named[name], seen.cumulative()
        lines = [f'{sample}_bucket{{{owner},le="{bound}"}} {count}\n' for bound, count in buckets]
        lines.append(f"{sample}_count{{{owner}}} {buckets[-1][1]}\n{sample}_sum{{{owner}}} {seen.total}\n")
        self._lines[name].append("".join(lines))

    def text(self) -> str:
        """The whole page."""
        return "".join(["".join(lines) for lines in self._lines.values()])


@lru_cache(_LABELS_KEPT)
def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    return labels_text(names, values)


def _head(family: Family) -> str:
    name = family.sample_name
    return f"# HELP {name} {_escaped(family.text)}\n# TYPE {name} {family.kind}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
