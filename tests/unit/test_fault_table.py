"""The table of faults in docs/reliability.md: how it is made, and that it has every story."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hack import fault_table
from tests.cluster.paths import ROOT

type Json = dict[str, Any]


def line(test: str, done: str = "stopped", group: str = "redis", **outcome: Any) -> Json:
    pool = {"tasks": 0, "executions": 0, "again": "", "recovered": None} | outcome
    return {"group": group, "done": done, "test": test, "passed": True, "outcomes": [pool] if outcome else []}


def test_a_row_sums_the_pools_of_what_was_done_and_tells_the_longest_recovery() -> None:
    ran: Json = {"tasks": 10, "executions": 11, "again": "its worker had died"}
    stories = [line("a.py::b[1]", recovered=2.04, **ran), line("a.py::b[2]", recovered=0.5, **ran)]
    assert '| [stopped](../a.py "b") | 20 | 22 | its worker had died | 2.0 s |' in fault_table.table(stories)


def test_what_has_no_pool_has_empty_cells() -> None:
    assert '| [stopped](../a.py "b") |  |  |  |  |' in fault_table.table([line("a.py::b")])


def test_groups_stand_in_their_order_and_the_later_run_of_a_story_counts(tmp_path: Path) -> None:
    file = tmp_path / "faults.jsonl"
    lines = [
        line("z.py::z", group="security"),
        line("a.py::b", tasks=1, executions=1),
        line("a.py::b", tasks=2, executions=2),
    ]
    file.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    found = fault_table.read(file)
    assert [(one["group"], one["outcomes"]) for one in found] == [("redis", lines[2]["outcomes"]), ("security", [])]


@pytest.mark.timeout(120)
def test_the_page_has_each_story_once_and_no_other() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "fault", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, "tests"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    stories = set(re.findall(r"^(tests/[\w/]+\.py)::(\w+)", done.stdout, re.MULTILINE))
    assert stories, done.stdout + done.stderr
    told = re.findall(r'\]\(\.\./(tests/[\w/]+\.py) "(\w+)"\)', fault_table.PAGE.read_text())
    missing = {(file, name) for file, name in stories if (file, name) not in set(told)}
    assert {"missing": missing, "gone": set(told) - stories} == {"missing": set(), "gone": set()}
