"""Write the table of faults in docs/reliability.md from what a run of their stories has left.

python -m hack.fault_table build/faults.jsonl    print the table; write it if every story is there and has passed

The lines come from tests/outcomes.py, which `make test-faults` has collect them.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.outcomes import GROUPS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- the table of `make test-faults` begins -->\n", "<!-- it ends -->\n"
HEAD = (
    "| fault | tasks | executions | run again because | recovered after |\n"
    "| --- | ---: | ---: | --- | ---: |\n"
)  # fmt: skip
TITLES = {
    "redis": "Redis",
    "rabbitmq": "RabbitMQ",
    "api-server": "API server",
    "operator": "Operator",
    "workers": "Workers",
    "cluster": "Cluster",
    "input": "Input",
    "security": "Security",
}

type Json = dict[str, Any]


def read(file: Path) -> list[Json]:
    """The lines of a run, in the order of groups; of a story that ran twice the later one."""
    stories = {line["test"]: line for line in map(json.loads, file.read_text().splitlines())}
    return sorted(stories.values(), key=lambda line: (GROUPS.index(line["group"]), line["test"]))


def table(stories: list[Json]) -> str:
    """The groups' tables; what was done is a link to the story's module."""
    return "\n".join(
        f"### {TITLES[group]}\n{HEAD}{''.join(_rows(list(found)))}" for group, found in _by(stories, "group")
    )


def _rows(stories: list[Json]) -> Iterator[str]:
    for done, found in _by(sorted(stories, key=lambda line: str(line["done"])), "done"):
        tests = list(found)
        file, _, name = tests[0]["test"].partition("::")
        link = f'[{done}](../{file} "{name.partition("[")[0]}")'
        outcomes = [outcome for test in tests for outcome in test["outcomes"]]
        tasks, executions = (sum(outcome[what] for outcome in outcomes) for what in ("tasks", "executions"))
        again = "; ".join(sorted({outcome["again"] for outcome in outcomes} - {""}))
        times = [outcome["recovered"] for outcome in outcomes if outcome["recovered"] is not None]
        recovered = f"{max(times):.1f} s" if times else ""
        yield f"| {link} | {tasks or ''} | {executions or ''} | {again} | {recovered} |\n"


def _by(stories: list[Json], key: str) -> Iterator[tuple[str, Iterator[Json]]]:
    return groupby(stories, key=lambda line: str(line[key]))


def write(text: str) -> None:
    """Put the table into the page."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{text}{END}{after}")


def main() -> None:
    """Print the table, and write it after a whole run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="what the run has left: one JSON object a line")
    stories = read(parser.parse_args().file)
    print(table(stories))
    if failed := [story["test"] for story in stories if not story["passed"]]:
        sys.exit("not written, for these have failed:\n  " + "\n  ".join(failed))
    if missing := [title for group, title in TITLES.items() if group not in {story["group"] for story in stories}]:
        sys.exit(f"not written, for whole groups are not there: {', '.join(missing)}")
    write(table(stories))
    print(f"written to {PAGE.relative_to(ROOT)}: {len(stories)} stories")


if __name__ == "__main__":
    main()
