"""The chart's alerts: Prometheus' own tool plays them a story each in which they fire and some in which they don't."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.generate_metrics_reference import generate
from tests.unit.chart.alert_stories import STORIES, Story

type Json = dict[str, Any]

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "pynenc-operator"
FILES = sorted((CHART / "alerts").glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
RUNBOOK_URL = "https://github.com/pynenc/pynenc-operator/blob/main/docs/runbooks/"
SECTIONS = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"]
RULES: dict[str, Json] = {
    rule["alert"]: rule
    for file in FILES
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
}


def promtool(*arguments: str) -> None:
    program = shutil.which("promtool")
    assert program, "there is no promtool: install the packages of tests/cluster/debian-packages.txt"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def sample(rule: Json, labels: dict[str, str]) -> Json:
    """What Prometheus says of an alert that fires."""
    given = {"alertname": rule["alert"], "alertstate": "firing", **rule["labels"], **labels}
    return {"labels": f"ALERTS{{{','.join(f'{name}="{value}"' for name, value in given.items())}}}", "value": 1}


def play(story: Story, folder: Path) -> None:
    """Have promtool play a story; it fails with what it got instead."""
    rule = RULES[story.alert]
    expected = {
        "expr": f'ALERTS{{alertname="{story.alert}",alertstate="firing"}}',
        "eval_time": story.at,
        "exp_samples": [sample(rule, labels) for labels in story.fires],
    }
    series = [{"series": name, "values": values} for name, values in story.series.items()]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [expected]}
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(file) for file in FILES], "tests": [test]}))
    promtool("test", "rules", str(file))


def test_promtool_finds_nothing() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, FILES))


def test_there_are_fourteen() -> None:
    assert len(RULES) == 14


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story.alert}: {story.name}")
def test_it_fires_when_it_has_to_and_only_then(story: Story, tmp_path: Path) -> None:
    play(story, tmp_path)


def test_each_has_both_kinds_of_story() -> None:
    for fires in (True, False):
        assert {story.alert for story in STORIES if bool(story.fires) is fires} == RULES.keys()


@pytest.mark.parametrize("alert", RULES)
def test_it_says_what_is_wrong_and_where_to_read_on(alert: str) -> None:
    rule = RULES[alert]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    said = rule["annotations"]
    assert said.keys() == {"summary", "description", "runbook_url"}
    assert said["runbook_url"] == f"{RUNBOOK_URL}{alert}.md"
    named = set(re.findall(r"\$labels\.(\w+)", said["summary"] + said["description"]))
    for story in STORIES:
        if story.alert == alert and story.fires:
            assert all(named <= labels.keys() for labels in story.fires), story.name


@pytest.mark.parametrize("alert", RULES)
def test_it_has_a_runbook(alert: str) -> None:
    text = (RUNBOOKS / f"{alert}.md").read_text()
    assert text.startswith(f"# {alert}\n")
    assert re.findall(r"^## .*", text, re.MULTILINE) == SECTIONS
    diagnosis = text.partition("## Diagnosis")[2].partition("## Mitigation")[0]
    assert re.search("^    kubectl ", diagnosis, re.MULTILINE)
    assert not re.search("^kubectl ", text, re.MULTILINE)  # outside a block of code


def test_there_is_no_runbook_for_nothing() -> None:
    assert {file.stem for file in RUNBOOKS.glob("*.md")} - {"README"} == RULES.keys()


def test_the_index_of_the_runbooks_has_each_with_its_severity_and_how_long_it_waits() -> None:
    row = r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \| ([^|]+) \| [^|]+ \|$"
    rows = re.findall(row, (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    assert [(name, file, severity) for name, file, severity, _ in rows] == [
        (name, name, rule["labels"]["severity"]) for name, rule in RULES.items()
    ]
    for name, _, _, when in rows:
        waits = re.findall(r"for (\d+) (m|h)(?:in)?\b", when)
        assert [f"{count}{unit}" for count, unit in waits] == ([RULES[name]["for"]] if "for" in RULES[name] else [])


def test_they_ask_for_metrics_that_there_are() -> None:
    known = set(re.findall(r"^\| `(pynenc_\w+)`", generate(), re.MULTILINE))
    for alert, rule in RULES.items():
        asked = {re.sub("_bucket$", "", name) for name in re.findall(r"pynenc_\w+", rule["expr"])}
        assert asked <= known, alert


def test_they_can_be_left_out_by_their_names() -> None:
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    assert schema["properties"]["prometheusRule"]["properties"]["disabled"]["items"]["enum"] == list(RULES)
