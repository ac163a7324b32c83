"""One benchmark, in the cluster's network, where `python -m benchmarks` starts it. A result is always written."""

import signal
import sys

from benchmarks import machine, ours
from benchmarks.bench import Run
from benchmarks.names import load
from benchmarks.results import ROOT, SHORT, WHOLE, Results, write
from tests.cluster.programs import PROGRAMS
from tests.e2e.pool import clear

INTERRUPTED = 130


def main(name: str, *, short: bool) -> int:
    """Measure and write; 0 if all goals are met or it is short, 1 if not, 130 if it was interrupted or out of time."""
    signal.signal(signal.SIGTERM, _interrupt)
    facts = {"machine": machine.facts(), "revision": machine.revision()}
    benchmark = load(name)
    results = Results(name, benchmark.WHAT)
    results.settings["kubernetes"] = PROGRAMS["kubernetes"].version
    run = Run(results, short)
    complete = False
    try:
        clear()
        run.say("installing the operator")
        ours.install()
        benchmark.measure(run)
        complete = True
    except KeyboardInterrupt:
        run.say("interrupted")
    finally:
        content = results.to_json(facts, benchmark.goals(results), benchmark.ratios(results), complete=complete)
        file = write(SHORT if short or not complete else WHOLE, content)
        run.say(f"written to {file.relative_to(ROOT)}")
    for goal in content["goal"]:
        word = "met" if goal["met"] else "NOT MET"
        run.say(f"{word}: {goal['what']}: {goal['value']} {goal['unit']} (goal {goal['limit']})")
    return (0 if short or content["met"] else 1) if complete else INTERRUPTED


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], short="--short" in sys.argv[2:]))
