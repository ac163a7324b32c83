"""All tests, in the order in which they find most the soonest, with the time of each step.

    python -m hack.test            everything, as `make test` and CI run it
    python -m hack.test e2e        some steps only, with what they need
    python -m hack.test scaling    every story of scaling on the real cluster, those of minutes included
    python -m hack.test faults faults-input two-nodes    every story of a fault; FAULTS=FILE keeps what came of each
    MINUTES=30 SEED=7 python -m hack.test soak    random load and random faults for half an hour, then rest
    python -m hack.test backends-whole    every backend and both lines of pynenc on the real cluster
    python -m hack.test chart-files chart-whole    the chart alone: its files, then its life on the real cluster

The e2e tests run on a cluster of their own, which is stopped afterwards; KEEP=1 leaves it running.
Exit code 0: every step passed.
"""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass

from hack.bootstrap import CACHE, ROOT

BIN = ROOT / ".venv" / "bin"
PYTEST = (str(BIN / "pytest"), "-v", "--no-header", "-p", "no:cacheprovider")
CLUSTER_TOOL = (str(BIN / "python"), "-m", "tests.cluster")
TEST_CLUSTER = {"PYNENC_CLUSTER": "pynenc-operator-test"}
TYPES_KEPT = {"MYPY_CACHE_DIR": str(CACHE / "mypy")}  # outside the checkout: for a clean clone, too


@dataclass(frozen=True)
class Step:
    """One command; `needs` are steps without which it makes no sense."""

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    by_name_only: bool = False  # a longer choice of what another step has a quick one of


def on_cluster(*arguments: str) -> tuple[str, ...]:
    """The command that runs pytest in the cluster's network."""
    return (*CLUSTER_TOOL, "exec", "--", *PYTEST, *arguments)


def at_once(processes: int) -> tuple[str, ...]:
    """Pytest's options for so many processes, each with whole files and an API server of its own."""
    return ("-n", str(processes), "--dist", "loadfile")


BACKENDS = "tests/e2e/backends"
E2E = ("--ignore=tests/e2e/chart", f"--ignore={BACKENDS}", "tests/e2e")
QUICK = "not slow and not whole_run"
CHART_FILES = tuple(f"tests/{kind}/{what}" for kind in ("unit", "integration") for what in ("chart", "crd"))
SCALING = ("scaling", "starting", "threads", "leaving", "templates", "dying", "operator_away")

STEPS = (
    Step("ruff", (str(BIN / "ruff"), "check", ".")),
    Step("format", (str(BIN / "ruff"), "format", "--check", ".")),
    Step("types", (str(BIN / "mypy"),)),
    Step("imports", (str(BIN / "lint-imports"),)),
    Step("unit", (*PYTEST, *at_once(2), "tests/unit")),  # work for a core each
    Step("programs", (*CLUSTER_TOOL, "programs")),
    # Most of it is waiting.
    Step("integration", (*PYTEST, *at_once(3), "-m", "not slow", "tests/integration"), needs=("programs",)),
    Step("chart-files", (*PYTEST, *CHART_FILES), needs=("programs",), by_name_only=True),
    Step("outages", (*PYTEST, "-m", "slow", "tests/integration"), needs=("programs",), by_name_only=True),
    Step("cluster", (*CLUSTER_TOOL, "up", "--nodes", "1"), needs=("programs",)),
    Step("images", (*CLUSTER_TOOL, "images"), needs=("cluster",)),
    Step("earlier", (*CLUSTER_TOOL, "images", "--earlier"), needs=("images",)),
    Step("chart", on_cluster("-m", "not slow", "tests/e2e/chart"), needs=("earlier",)),
    Step("chart-whole", on_cluster("-rP", "tests/e2e/chart"), needs=("earlier",), by_name_only=True),
    Step("dashboards", on_cluster("tests/e2e/chart/test_dashboards.py"), needs=("images",), by_name_only=True),
    Step("backend-images", (*CLUSTER_TOOL, "images", "--backends"), needs=("images",)),
    Step("backends", on_cluster("-m", "not slow", BACKENDS), needs=("backend-images",)),
    Step("backends-whole", on_cluster("-rP", BACKENDS), needs=("backend-images",), by_name_only=True),
    Step("e2e", on_cluster("-m", QUICK, *E2E), needs=("images",)),
    Step("faults", on_cluster("-m", "fault and not two_nodes", *E2E), needs=("images",), by_name_only=True),
    Step(
        "faults-input",
        (*PYTEST, "-m", "fault", "tests/unit", "tests/integration"),
        needs=("programs",),
        by_name_only=True,
    ),
    Step("rights", on_cluster("-m", "whole_run", "tests/e2e"), needs=("chart", "e2e")),
    Step(
        "scaling",
        on_cluster("-rP", *(f"tests/e2e/test_{name}.py" for name in SCALING)),
        needs=("images",),
        by_name_only=True,
    ),
    Step(
        "soak",
        (*CLUSTER_TOOL, "exec", "--", str(BIN / "python"), "-m", "tests.soak"),
        needs=("images",),
        by_name_only=True,
    ),
    Step("second-node", (*CLUSTER_TOOL, "up", "--nodes", "2"), needs=("programs",), by_name_only=True),
    Step("both-images", (*CLUSTER_TOOL, "images"), needs=("second-node",), by_name_only=True),
    Step("two-nodes", on_cluster("-m", "two_nodes", *E2E), needs=("both-images",), by_name_only=True),
)


def wanted(names: list[str]) -> list[Step]:
    """The named steps with what they need, in order; without a name all but those that run by name only."""
    chosen = set(names or [step.name for step in STEPS if not step.by_name_only])
    for step in reversed(STEPS):
        if step.name in chosen:
            chosen.update(step.needs)
    return [step for step in STEPS if step.name in chosen]


def run(step: Step) -> bool:
    """Run one step to its end; Ctrl-C reaches it as well as this program."""
    with subprocess.Popen(step.command, cwd=ROOT, env={**os.environ, **TEST_CLUSTER, **TYPES_KEPT}) as process:
        try:
            return process.wait() == 0
        except KeyboardInterrupt:
            process.wait()  # it removes what it has made and says what came of it so far
            raise


def main() -> None:
    """Run the steps and say what came of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", choices=[[], *(step.name for step in STEPS)], metavar="STEP")
    steps = wanted(parser.parse_args().steps)
    results: dict[str, str] = {}
    times: dict[str, float] = {}
    try:
        for number, step in enumerate(steps, 1):
            print(f"\n=== {step.name} ({number} of {len(steps)})", flush=True)
            begun = time.monotonic()
            if any(results.get(need) != "passed" for need in step.needs):
                results[step.name] = "not run: " + ", ".join(n for n in step.needs if results.get(n) != "passed")
            else:
                results[step.name] = "passed" if run(step) else "FAILED"
            times[step.name] = time.monotonic() - begun
    except KeyboardInterrupt:
        print("\ninterrupted; run it again to go on")
    finally:
        if times.keys() & {"cluster", "second-node"} and not os.environ.get("KEEP"):
            run(Step("down", (*CLUSTER_TOOL, "down")))
    print("\n=== what came of it")
    for step in steps:
        print(f"{step.name:12} {times.get(step.name, 0):7.1f} s  {results.get(step.name, 'not run')}")
    if times:
        print(
            f"slowest step: {max(times, key=lambda name: times[name])}; the slowest tests stand after each step above"
        )
    sys.exit(any(results.get(step.name) != "passed" for step in steps))


if __name__ == "__main__":
    main()
