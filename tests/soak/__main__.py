"""Random load and random faults on the real cluster for a while, then rest, at which nothing may be left.

    make soak                       30 minutes, another seed each time
    make soak MINUTES=60 SEED=7     longer, and the same load and faults as another run with this seed

Ctrl-C ends the run with the summary so far. Exit code 0: everything has held; 1: it has not; 130: interrupted.
"""

import argparse
import os
import random
import signal
import sys
import threading
import time
import traceback

from tests.soak import plan, summary, verdict
from tests.soak.clock import Clock
from tests.soak.run import Run, say

_SHORTEST = 6.0  # minutes
_LONGEST_START = 10 * 60.0  # seconds: the operator's installation and the first rest
_LONGEST_END = 5 * 60.0


def main() -> int:
    """Run what the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=os.environ.get("MINUTES") or 30,
        help="of load and rest (default: $MINUTES, or 30)",
    )
    parser.add_argument(
        "--seed", type=int, default=os.environ.get("SEED") or None, help="default: $SEED, or another one each time"
    )
    options = parser.parse_args()
    if options.minutes < _SHORTEST:
        parser.error(f"--minutes: {_SHORTEST:g} at least")
    seed = random.SystemRandom().randrange(10_000) if options.seed is None else options.seed
    say(f"seed {seed}, {options.minutes:g} minutes")
    return _run(plan.make(seed, options.minutes))


def _run(planned: plan.Plan) -> int:
    clock, crash = Clock(), ""
    run = Run(planned, clock)

    def whole() -> None:
        nonlocal crash
        try:
            run()
        except BaseException:  # noqa: BLE001 - it is told, and fails the run
            crash = traceback.format_exc()

    # What is started from here on is deaf to Ctrl-C, which a terminal sends to all: only this thread takes note of it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    thread = threading.Thread(target=whole, name="run")
    thread.start()
    stopped = _until_ended(thread, clock, time.monotonic() + _LONGEST_START + planned.ends)
    checks = verdict.judge(run.facts)
    print(f"\nseed {planned.seed}: what came of it" + (", interrupted" if stopped else ""))
    print("\n".join(summary.lines(run.facts, checks)))
    print(crash, end="", flush=True)
    return stopped or int(bool(crash) or any(check.holds is False for check in checks))


def _until_ended(thread: threading.Thread, clock: Clock, deadline: float) -> int:
    """Wait for the run's end; the exit code if it was not its own but Ctrl-C's or the deadline's."""
    stopped = 0
    while thread.is_alive():
        if signal.sigtimedwait({signal.SIGINT}, 0.5) is not None:
            if stopped:
                os._exit(130)
            stopped = 130
            say("interrupted: faults are undone, and all is removed; once more ends this at once")
            clock.stop()
            deadline = time.monotonic()
        if time.monotonic() > deadline and not stopped:
            say("this takes too long: it is stopped")
            stopped = 1
            clock.stop()
        if time.monotonic() > deadline + _LONGEST_END:
            say("it does not stop: what it leaves is removed by the next run")
            os._exit(1)
    return stopped


if __name__ == "__main__":
    sys.exit(main())
