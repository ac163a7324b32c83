"""The chart's dashboards as Grafana reads them: panels, queries, and what variables become."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

type Json = dict[str, Any]

DASHBOARDS = sorted((Path(__file__).parents[3] / "charts" / "pynenc-operator" / "dashboards").glob("*.json"))
# What Grafana gives itself.
GIVEN = {"__rate_interval", "__interval", "__range"}


def load(file: Path) -> Json:
    dashboard: Json = json.loads(file.read_text())
    return dashboard


def panels(dashboard: Json) -> list[Json]:
    """All panels but the rows that part them."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def targets(dashboard: Json) -> Iterator[tuple[str, Json]]:
    """Each query, with a name for it."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target


def variables(dashboard: Json) -> list[Json]:
    """Variables that are asked of Prometheus, in the order in which they depend on each other."""
    return [each for each in dashboard["templating"]["list"] if each["type"] == "query"]


def label_values(variable: Json) -> tuple[str, str]:
    """The series and the label that a variable takes its values from."""
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
    assert found, f"{variable['name']}: {variable['query']}"
    return found[1], found[2]


def used(text: str) -> set[str]:
    """The variables of a query."""
    return set(re.findall(r"\$\{?(\w+)", text))


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """A query with the variables' values; KeyError names one that there is not."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values[found[1]], text)
