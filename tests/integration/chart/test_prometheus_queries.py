"""What the chart gives Prometheus and Grafana works on what the operator really exports: a real Prometheus scrapes it.

Grafana itself can't be had here; how it draws what these queries find is not tried.
"""

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import documents
from tests.cluster.paths import ROOT
from tests.integration.chart.prometheus.server import PrometheusServer, static
from tests.integration.chart.rendering import CHART, of_kind, render
from tests.integration.promtool import check_metrics
from tests.unit.chart.dashboards import DASHBOARDS, Json, filled_in, label_values, load, targets, variables

SCRAPES = 20  # of a second each
SCRAPED_WITHIN = 60.0
RATE_INTERVAL = "5s"  # Grafana: four scrapes and one
SHOWN_SECONDS = 10
ALERTS = sorted((CHART / "alerts").glob("*.yaml"))
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
QUERIES = [(file, name) for file in DASHBOARDS for name, _ in targets(load(file))]


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[str, str]]:
    """Addresses of an operator's metrics and a worker's."""
    command = [sys.executable, "-m", "tests.integration.chart.prometheus.exporter"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as exporter:
        try:
            assert exporter.stdout
            operator, worker = exporter.stdout.readline().split()
            yield f"127.0.0.1:{operator}", f"127.0.0.1:{worker}"
        finally:
            exporter.terminate()


@pytest.fixture(scope="module")
def prometheus(ports: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """A Prometheus that has scraped both for long enough that rates are known."""
    operator, worker = ports
    scraped = {  # with the labels that ServiceMonitor and PodMonitor give
        "pynenc-operator-metrics": (operator, {"namespace": "pynenc-system", "pod": "pynenc-operator-0"}),
        "pynenc-system/pynenc-operator-workers": (
            worker,
            {"namespace": "shop", "pod": "reports-0", "runner_namespace": "shop", "runner": "reports"},
        ),
    }
    server = PrometheusServer(tmp_path_factory.mktemp("prometheus"), static(scraped), ALERTS)
    try:
        server.start()
        deadline = time.monotonic() + SCRAPED_WITHIN
        while server.scraped() < SCRAPES:
            assert time.monotonic() < deadline, server.ask("targets")
            time.sleep(0.5)
        yield server
    finally:
        server.stop()


def chosen(prometheus: PrometheusServer, dashboard: Json) -> dict[str, str]:
    """Every value of every variable, as a reader ticks them one by one."""
    values = {"__rate_interval": RATE_INTERVAL}
    for variable in variables(dashboard):
        series, label = label_values(variable)
        found = prometheus.ask(f"label/{label}/values", **{"match[]": filled_in(series, values)})
        assert found, f"{variable['name']}: {variable['query']['query']}"
        values[variable["name"]] = "|".join(found)
    return values


def everything(dashboard: Json) -> dict[str, str]:
    """`All` of each variable."""
    return {"__rate_interval": RATE_INTERVAL} | {each["name"]: each["allValue"] for each in variables(dashboard)}


def test_what_is_scraped_is_in_order(ports: tuple[str, str]) -> None:
    for address in ports:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            check_metrics(answer.read().decode())


@pytest.mark.parametrize(("file", "name"), QUERIES, ids=[f"{file.stem}: {name}" for file, name in QUERIES])
def test_a_panels_query_finds_something(prometheus: PrometheusServer, file: Path, name: str) -> None:
    dashboard = load(file)
    target = dict(targets(dashboard))[name]
    named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
    end = time.time() - 1
    for values in (everything(dashboard), chosen(prometheus, dashboard)):
        query = filled_in(target["expr"], values)
        found = prometheus.series(query, end - SHOWN_SECONDS, end)
        assert any(numbers for _, numbers in found), query
        assert all(named <= labels.keys() for labels, _ in found), f"{query}: the legend names {named}"


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda path: path.stem)
def test_a_variable_leaves_the_others_out(prometheus: PrometheusServer, file: Path) -> None:
    dashboard = load(file)
    values = everything(dashboard) | {variables(dashboard)[-1]["name"]: "nobody"}
    end = time.time() - 1
    for name, target in targets(dashboard):
        if "vector(0)" not in target["expr"]:
            assert prometheus.series(filled_in(target["expr"], values), end - SHOWN_SECONDS, end) == [], name


def test_prometheus_takes_the_alerts(prometheus: PrometheusServer) -> None:
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert len(rules) == 14
    assert {(rule["name"], rule["health"], rule.get("lastError")) for rule in rules} == {
        (rule["name"], "ok", None) for rule in rules
    }


def test_alerts_see_what_is_wrong(prometheus: PrometheusServer) -> None:
    found = prometheus.ask("query", query="ALERTS")["result"]
    seen = {(each["metric"]["alertname"], each["metric"].get("runner")) for each in found}
    assert {
        ("PynencOperatorReconcileErrors", None),
        ("PynencOperatorApiErrors", None),
        ("PynencBrokerUnreachable", "mail"),
        ("PynencPodStartFailures", "reports"),
        ("PynencDrainsCutShort", "reports"),
    } <= seen
    assert ("PynencRunnerNotReady", "mail") not in seen
    assert ("PynencBacklogStuck", "training") not in seen  # it is paused
    assert not {alert for alert, _ in seen} & {"PynencOperatorDown", "PynencOperatorNotReconciling"}


def test_annotations_are_filled_in(prometheus: PrometheusServer) -> None:
    alerts = prometheus.ask("alerts")["alerts"]
    assert alerts
    for alert in alerts:
        for text in alert["annotations"].values():
            assert "{{" not in text
            assert "no value" not in text
            assert "error" not in text.lower() or alert["labels"]["alertname"].endswith("Errors"), text


@pytest.mark.parametrize("file", RUNBOOKS, ids=lambda path: path.stem)
def test_prometheus_takes_a_runbooks_queries(prometheus: PrometheusServer, file: Path) -> None:
    for block in documents.blocks(file.read_text(), "promql"):
        for query in block.splitlines():
            asked = query.replace("NAMESPACE", "shop").replace("RUNNER", "reports")
            assert prometheus.ask("query", query=asked)["result"], query


def test_the_rule_is_made_on_demand_with_the_labels_that_are_wanted() -> None:
    assert of_kind(render(), "PrometheusRule") == []
    [rule] = of_kind(
        render(
            "prometheusRule.enabled=true",
            'prometheusRule.labels={"release":"stack"}',
            'prometheusRule.alertLabels={"team":"platform","severity":"page"}',
            'prometheusRule.disabled=["PynencAtMaximum"]',
        ),
        "PrometheusRule",
    )
    assert rule["metadata"]["labels"]["release"] == "stack"
    rules = [each for group in rule["spec"]["groups"] for each in group["rules"]]
    assert len(rules) == 13
    assert "PynencAtMaximum" not in {each["alert"] for each in rules}
    assert all(each["labels"] == {"team": "platform", "severity": "page"} for each in rules)


def test_dashboards_are_made_on_demand_and_to_the_letter() -> None:
    assert of_kind(render(), "ConfigMap") == []
    maps = of_kind(render("grafanaDashboards.enabled=true", 'grafanaDashboards.namespace="monitoring"'), "ConfigMap")
    assert {key: text for each in maps for key, text in each["data"].items()} == {
        file.name: file.read_text().rstrip("\n") for file in DASHBOARDS
    }
    for each in maps:
        assert each["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert each["metadata"]["namespace"] == "monitoring"
