"""What a benchmark's file says of its tries."""

import json
from pathlib import Path

import pytest

from benchmarks import machine
from benchmarks.results import Goal, Results, write


@pytest.fixture
def results() -> Results:
    found = Results("reaction", "How fast.")
    for seconds in (0.1, 0.2, 0.3):
        found.add("ours", number=1, created=seconds)
    found.add("peer", number=0, created=2.0, done=False)
    return found


def test_each_value_of_each_setup_is_summarised(results: Results) -> None:
    summary = results.summary()
    assert summary["ours"]["created"]["p50"] == 0.2
    assert summary["peer"] == {"created": {"n": 1, **dict.fromkeys(("min", "p50", "p90", "p99", "max"), 2.0)}}


def test_ratios_are_theirs_over_ours(results: Results) -> None:
    assert results.ratio("created", "peer", "ours") == 10.0
    assert results.ratio("created", "nobody", "ours") is None
    assert results.ratio("created", "peer", "nobody") is None


@pytest.mark.parametrize(
    ("value", "at_least", "met"),
    [(1.0, False, True), (1.1, False, False), (1.0, True, True), (0.9, True, False), (None, False, False)],
)
def test_a_goal_is_met_at_its_limit_and_never_unmeasured(value: float | None, at_least: int, met: int) -> None:
    assert Goal("a number", 1.0, value, at_least=bool(at_least)).met == met


def test_all_goals_of_a_complete_run_have_to_be_met(results: Results) -> None:
    good, bad = Goal("good", 1.0, 0.5), Goal("bad", 1.0, 2.0)
    assert results.to_json({}, [good], {}, complete=True)["met"] is True
    assert results.to_json({}, [good, bad], {}, complete=True)["met"] is False
    assert results.to_json({}, [good], {}, complete=False)["met"] is False


def test_the_file_has_every_try(results: Results, tmp_path: Path) -> None:
    file = write(tmp_path / "new", results.to_json({"machine": {"cores": 2}}, [], {"peer": 10}, complete=True))
    content = json.loads(file.read_text())
    assert file.name == "reaction.json"
    assert [each["created"] for each in content["tries"]] == [0.1, 0.2, 0.3, 2.0]
    assert content["machine"] == {"cores": 2}
    assert [each.name for each in file.parent.iterdir()] == ["reaction.json"]


def test_the_machine_is_told_without_its_name() -> None:
    facts = machine.facts()
    assert facts["cores"] > 0
    assert facts["memory_gib"] > 0
    assert not {"host", "hostname", "node"} & facts.keys()


def test_facts_are_read_from_what_linux_tells() -> None:
    assert machine.memory_gib("MemTotal:       25276384 kB\nMemFree: 1 kB\n") == 24.1
    assert machine.cpu_model("model\t\t: 1\nmodel name\t: A Processor\n") == "A Processor"
    assert machine.cpu_model("processor: 0\n") == "unknown"
    assert machine.kernel("6.18.44-somebody-7") == "6.18.44"
