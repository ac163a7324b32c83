"""What a benchmark has found: every try, how they spread, the goals and whether they are met, as one JSON file."""

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.spread import spread

ROOT = Path(__file__).resolve().parent.parent
WHOLE = ROOT / "benchmarks" / "results"  # what docs/benchmarks.md is made of
SHORT = ROOT / "build" / "benchmarks"  # what was run with few tries, to see that it runs

type Json = dict[str, Any]

MEDIAN, MEDIANS, WORST, TOGETHER, ALL = "median", "medians", "worst try", "all windows together", "all tries"


@dataclass(frozen=True)
class Goal:
    """A number that is to be reached; `value` is None where it was not measured, `by` which of the tries it is of."""

    what: str
    limit: float
    value: float | None
    at_least: bool = False  # else at most
    unit: str = ""
    by: str = MEDIAN

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        if self.value is None:
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def to_json(self) -> Json:
        """As it stands in the file."""
        return {**asdict(self), "met": self.met}


@dataclass
class Results:
    """Filled while a benchmark runs."""

    name: str
    what: str  # a sentence
    unit: str = "s"
    settings: Json = field(default_factory=dict)  # of each set-up, what bears on its numbers
    tries: list[Json] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.time)

    def add(self, setup: str, **values: object) -> None:
        """Note one try of a set-up; numbers among the values are summarised."""
        self.tries.append({"setup": setup, **values})

    def values(self, setup: str, value: str) -> list[float]:
        """A value of all tries of a set-up that have it."""
        found = (each.get(value) for each in self.tries if each["setup"] == setup)
        return [float(number) for number in found if isinstance(number, int | float) and not isinstance(number, bool)]

    def summary(self) -> dict[str, dict[str, dict[str, float]]]:
        """By set-up and value, how the tries spread."""
        found: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
        for each in self.tries:
            for value in each:
                if value not in {"setup", "number"} and value not in found[each["setup"]]:
                    numbers = self.values(each["setup"], value)
                    if numbers:
                        found[each["setup"]][value] = spread(numbers)
        return dict(found)

    def at(self, setup: str, value: str, place: str = "p50") -> float | None:
        """One figure of the summary; None if it was not measured."""
        return self.summary().get(setup, {}).get(value, {}).get(place)

    def ratio(self, value: str, setup: str, to: str) -> float | None:
        """How many times as much a set-up needs as another, medians; None if one was not measured."""
        much, other = self.at(setup, value), self.at(to, value)
        return round(much / other, 2) if other and much is not None else None

    def to_json(self, facts: Json, goals: Sequence[Goal], ratios: Json, *, complete: bool) -> Json:
        """The whole file; `facts` of the machine and the code stand before it."""
        return {
            "name": self.name,
            "what": self.what,
            "begun": _clock(self.began),
            "ended": _clock(time.time()),
            "complete": complete,  # false: it was interrupted, or ran out of time
            **facts,
            "settings": self.settings,
            "unit": self.unit,
            "summary": self.summary(),
            "ratios": ratios,
            **verdict(goals, complete=complete),
            "remarks": self.remarks,
            "tries": self.tries,
        }


def verdict(goals: Sequence[Goal], *, complete: bool) -> Json:
    """What stands in the file of the goals; those of a run that did not come to its end are not met."""
    return {"goal": [goal.to_json() for goal in goals], "met": complete and all(goal.met for goal in goals)}


def write(folder: Path, content: Json) -> Path:
    """Write a result, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{content['name']}.json"
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.rename(file)
    return file


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
