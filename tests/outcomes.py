"""What came of a test; of stories of faults a line each in the file that FAULTS names, for docs/reliability.md.

A story of a fault is a test with the marker `fault(group, done)`; one with pools leaves an Outcome of each.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

GROUPS = ("redis", "rabbitmq", "api-server", "operator", "workers", "cluster", "input", "security")
OUTCOME = "outcome"  # the name of an Outcome among a test's user properties
_FAULT = "fault"  # the marker
_FAILED = pytest.StashKey[bool]()


@dataclass
class Outcome:
    """What came out of one pool."""

    tasks: int = 0
    executions: int = 0
    again: str = ""  # why any ran twice; empty if none did
    recovered: float | None = None  # seconds from the fault's end until the pool was right again; None: nothing to mend


def has_failed(item: pytest.Item) -> bool:
    """Whether a test has failed so far, for its fixtures' ends."""
    return item.stash.get(_FAILED, False)


def record(item: pytest.Item, report: pytest.TestReport) -> None:
    """Note what came of one phase of a test, and of a story of a fault when it has ended."""
    item.stash[_FAILED] = has_failed(item) or report.failed
    mark = item.get_closest_marker(_FAULT)
    file = os.environ.get("FAULTS")
    if mark is None or not file or report.when != "teardown":
        return
    group, done = mark.args
    assert group in GROUPS, f"{item.nodeid}: no such group of faults: {group}"
    outcomes = [asdict(value) for name, value in item.user_properties if name == OUTCOME and isinstance(value, Outcome)]
    line = {"group": group, "done": done, "test": item.nodeid, "passed": not has_failed(item), "outcomes": outcomes}
    with Path(file).open("a") as lines:
        lines.write(json.dumps(line) + "\n")
