"""The page of benchmarks, made of results."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import page, plots
from benchmarks.results import WORST, Goal, Results

MACHINE = {"cores": 2, "cpu": "A Processor", "memory_gib": 24.1, "kernel": "6.18", "load_before": 0.1}


@pytest.fixture
def result() -> plots.Json:
    results = Results("reaction", "How fast.")
    for seconds in (0.1, 0.12, 0.3):
        results.add("ours", created=seconds)
    results.add("keda default", created=14.0)
    results.add("keda tuned", created=None)
    goals = [Goal("delay", 0.15, 0.12, unit="s"), Goal("times faster", 20, None, at_least=True, by=WORST)]
    return results.to_json({"machine": MACHINE, "revision": "c0ffee"}, goals, {}, complete=True)


def test_goals_and_figures_stand_in_tables(result: plots.Json) -> None:
    text = page.section(result)
    assert "| delay | at most 0.15 s | 0.12 s | median | yes |" in text
    assert "| times faster | at least 20 | not measured | worst try | **no** |" in text
    assert "| ours | enqueue to pod created, s | 3 | 0.1 | 0.12 | 0.3 |" in text
    assert "2 cores (A Processor), 24.1 GiB" in text
    assert "`make bench NAME=reaction` at c0ffee, " in text


def test_of_each_kind_that_grows_only_its_own_values_are_told() -> None:
    results = Results("growth", "How much more.")
    results.add("rest, 10 runners", kind="rest", size=10, seconds=45.0, cores=0.1)
    results.add("burst, 60 pods", kind="burst", size=60, seconds=0.5)
    text = page.section(results.to_json({"machine": MACHINE, "revision": "c0ffee"}, [], {}, complete=True))
    rows = [row for row in text.splitlines() if row.startswith(("| rest", "| burst"))]
    assert rows == [
        "| rest, 10 runners | cores | 1 | 0.1 | 0.1 | 0.1 |",
        "| burst, 60 pods | first to last pod made, s | 1 | 0.5 | 0.5 | 0.5 |",
    ]


def test_a_run_that_did_not_end_is_told(result: plots.Json) -> None:
    assert "did not come to its end" not in page.section(result)
    assert "did not come to its end" in page.section({**result, "complete": False})


def test_what_others_wrote_on_the_page_stays(result: plots.Json) -> None:
    once = page.page(f"# Benchmarks\n{page.BEGIN}old\n{page.END}after\n", [result])
    assert once.startswith("# Benchmarks\n")
    assert once.endswith("after\n")
    assert "old" not in once
    assert page.page(once, [result]) == once


@pytest.mark.parametrize(("value", "text"), [(0.12345, "0.123"), (14, "14"), (1234.5, "1234"), (0.00049, "0.00049")])
def test_three_digits_are_enough(value: float, text: str) -> None:
    assert page.number(value) == text


def test_the_same_result_is_the_same_picture(result: plots.Json, tmp_path: Path) -> None:
    first, second = (plots.write(result, tmp_path / name).read_bytes() for name in ("first", "second"))
    assert first == second
    assert b"keda default" in first
    assert b"<dc:date>" not in first


def test_what_grows_is_drawn_over_its_size() -> None:
    results = Results("growth", "How much more.")
    for size in (10, 100, 1000):
        values = {"cores": size / 1000, "redis commands": size, "resident": 90.0, "requests": 0.5}
        results.add(f"rest, {size} runners", kind="rest", size=size, **values)
    told = results.to_json({"machine": MACHINE, "revision": "c0ffee"}, [], {"rest: cores": 1.0}, complete=True)
    drawn = plots.draw(told)
    [panel] = [axes for axes in drawn.axes if axes.get_title().startswith("runners at rest: cores")]
    assert panel.get_title().endswith("grows with the power of 1.0")
    [line] = panel.get_lines()
    assert np.asarray(line.get_xdata()).tolist() == [10, 100, 1000]
    assert len(drawn.axes) == len(plots.OVER_SIZE["growth"])


def test_goals_are_judged_anew_by_what_was_tried(result: plots.Json) -> None:
    told = page.judged({**result, "goal": [], "met": True})
    assert told["tries"] == result["tries"]
    goals = {goal["what"]: goal["met"] for goal in told["goal"]}
    assert goals
    assert told["met"] is all(goals.values()) is False
    assert not page.judged({**result, "complete": False})["met"]


def test_the_page_has_a_place_for_the_tables() -> None:
    before, _, after = page.PAGE.read_text().partition(page.BEGIN)
    assert before.startswith("# Benchmarks\n")
    assert after.count(page.END) == 1
