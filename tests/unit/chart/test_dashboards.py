"""The dashboards obey the rules of Grafana's dashboard-linter, whose dependencies are AGPL: it can't be used here.

Its rules about `job` and `instance`, of templates and of targets, hold for the operator's dashboard alone: a runner's
series come from whichever replica leads, and from workers of another job, and must not end with either.
"""

import itertools
import re
from pathlib import Path

import pytest

from hack.generate_metrics_reference import generate
from tests.unit.chart.dashboards import DASHBOARDS, GIVEN, Json, load, panels, targets, used, variables

TEMPLATED = "${datasource}"
CHOICES = {"pynenc-operator": ["job", "instance"], "pynenc-runners": ["namespace", "runner"]}
MATCHERS = {
    "pynenc-operator": ('job=~"$job"', 'instance=~"$instance"'),
    "pynenc-runners": ('runner_namespace=~"$namespace"', 'runner=~"$runner"'),
}
# Of Prometheus' client.
OF_THE_PROCESS = {
    f"process_{name}"
    for name in ("start_time_seconds", "cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds")
}
KNOWN = set(re.findall(r"^\| `(pynenc_\w+)`", generate(), re.MULTILINE)) | OF_THE_PROCESS


@pytest.fixture(params=DASHBOARDS, ids=lambda path: path.stem)
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def dashboard(file: Path) -> Json:
    return load(file)


def selectors(expression: str) -> list[tuple[str, str]]:
    """Each metric of a query with its matchers."""
    return re.findall(r"\b((?:pynenc|process)_\w+)(\{[^}]*\})?", expression)


def test_there_are_two() -> None:
    assert {file.stem for file in DASHBOARDS} == CHOICES.keys()


def test_it_can_be_linked_to_and_not_edited(file: Path, dashboard: Json) -> None:
    assert dashboard["uid"] == file.stem
    assert dashboard["editable"] is False
    assert dashboard["title"]
    assert dashboard["description"]
    assert "id" not in dashboard  # a Grafana's own number
    assert "__inputs" not in dashboard  # the sidecar would not fill them in
    assert dashboard["tags"] == ["pynenc"]
    assert [link["tags"] for link in dashboard["links"]] == [["pynenc"]]


def test_its_data_source_is_chosen(dashboard: Json) -> None:
    [source] = [each for each in dashboard["templating"]["list"] if each["type"] == "datasource"]
    assert (source["name"], source["label"], source["query"]) == ("datasource", "Data source", "prometheus")
    of_panels = [panel["datasource"] for panel in panels(dashboard)]
    of_targets = [target["datasource"] for _, target in targets(dashboard)]
    of_variables = [variable["datasource"] for variable in variables(dashboard)]
    for each in (*of_panels, *of_targets, *of_variables):
        assert each == {"type": "prometheus", "uid": TEMPLATED}


def test_its_variables_choose_any_number_and_follow_the_time(dashboard: Json) -> None:
    found = variables(dashboard)
    assert [each["name"] for each in found] == CHOICES[dashboard["uid"]]
    for each in found:
        assert each["label"] == each["name"].capitalize()
        assert each["multi"]
        assert each["includeAll"]
        assert each["allValue"] == ".+"
        assert each["refresh"] == 2  # on a change of the time range


def test_each_panel_says_what_it_shows_and_in_which_unit(dashboard: Json) -> None:
    for panel in panels(dashboard):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
    titles = [panel["title"] for panel in panels(dashboard)]
    assert len(set(titles)) == len(titles)


def test_panels_do_not_overlap(dashboard: Json) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        columns, rows = range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
        for place in itertools.product(columns, rows):
            assert place not in taken, f"{panel['title']} lies on {taken[place]}"
            taken[place] = panel["title"]


def test_queries_use_only_variables_that_there_are(dashboard: Json) -> None:
    there = {each["name"] for each in dashboard["templating"]["list"]} | GIVEN
    for name, target in targets(dashboard):
        assert used(target["expr"]) <= there, name
    asked = {variable for _, target in targets(dashboard) for variable in used(target["expr"])}
    assert set(CHOICES[dashboard["uid"]]) <= asked


def test_each_query_shows_what_was_chosen(dashboard: Json) -> None:
    for name, target in targets(dashboard):
        for metric, matchers in selectors(target["expr"]):
            assert all(each in matchers for each in MATCHERS[dashboard["uid"]]), f"{name}: {metric}"


def test_queries_ask_for_metrics_that_there_are(dashboard: Json) -> None:
    for name, target in targets(dashboard):
        asked = {re.sub("_bucket$", "", metric) for metric, _ in selectors(target["expr"])}
        assert asked, name
        assert asked <= KNOWN, name


def test_counters_are_shown_as_rates_over_grafanas_interval(dashboard: Json) -> None:
    for name, target in targets(dashboard):
        rated = re.findall(r"\b(?:rate|increase)\((\w+)\{[^}]*\}\[(.+?)\]\)", target["expr"])
        assert all(window == "$__rate_interval" for _, window in rated), name
        counters = [metric for metric, _ in selectors(target["expr"]) if metric.endswith(("_total", "_bucket"))]
        assert counters == [metric for metric, _ in rated], name
