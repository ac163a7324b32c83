"""Run the pool in virtual time with many seeds: any load, any timing, any trouble; no busy pod may be deleted.

    make simulate SEEDS=100000           seeds 0 to 99999 on all cores
    make simulate SEEDS=1000 FIRST=5000  others
    make simulate SEED=1234              one again, with a long timeline where it fails

A seed that fails prints its number, what does not hold and the end of its story. The last line is the sum.
Exit code 0: everything has held with every seed; 1: it has not; 130: interrupted.
"""

import argparse
import time
from typing import Final

from tests.unit.simulation.seeds import Result, Sum, run_seed, run_seeds

PROGRESS_SECONDS: Final = 5.0
LONG_TIMELINE: Final = 400
TOLD: Final = 10  # failures told at length: more of them say the same


def main() -> int:
    """Run what the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.unit.simulation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=5000, help="how many (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: %(default)s)")
    parser.add_argument("--processes", type=int, help="how many side by side (default: one for each core)")
    parser.add_argument("--seed", type=int, help="this one only, here, with a long timeline where it fails")
    options = parser.parse_args()
    if options.seed is not None:
        return _one(options.seed)
    total, begun = Sum(), time.monotonic()
    try:
        _many(range(options.first, options.first + options.seeds), options.processes, total)
    except KeyboardInterrupt:
        print(f"interrupted after {time.monotonic() - begun:.0f} s; so far: {total}", flush=True)
        return 130
    print(total)
    return int(bool(total.failed))


def _one(seed: int) -> int:
    result, total = run_seed(seed, shown=LONG_TIMELINE), Sum()
    total.add(result)
    if result.problem:
        print(f"seed {seed}: {result.problem}")
    print(total)
    return int(bool(total.failed))


def _many(seeds: range, processes: int | None, total: Sum) -> None:
    begun = told_at = time.monotonic()
    for result in run_seeds(seeds, processes):
        total.add(result)
        if result.problem:
            _tell(result, total)
        now = time.monotonic()
        if now - told_at >= PROGRESS_SECONDS:
            told_at = now
            left = (now - begun) / total.seeds * (len(seeds) - total.seeds)
            print(f"... {total}, {total.failed} failed; about {left:.0f} s left", flush=True)


def _tell(result: Result, total: Sum) -> None:
    text = result.problem if total.failed <= TOLD else result.problem.splitlines()[0]
    print(f"\nseed {result.seed} FAILED: {text}\nreplay it: make simulate SEED={result.seed}", flush=True)
