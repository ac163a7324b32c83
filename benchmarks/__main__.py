"""Measure one thing on a local cluster of its own, and write benchmarks/results/NAME.json.

    python -m benchmarks reaction
    python -m benchmarks reaction --short    a few tries into build/benchmarks/, to see that it runs

PYNENC_CLUSTER names the cluster (default pynenc-operator-bench); it is taken down in the end unless KEEP=1. A run
measures for at most 55 minutes; what has to be built before takes longer the first time. A whole run writes
benchmarks/results/NAME.json anew. Exit codes: 0 every goal is met (of a short run, whose few tries are not judged: it
ran), 1 not, 2 called wrongly, 130 interrupted or out of time; what was measured until then is in build/benchmarks/.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.names import NAMES, PROGRAMS
from benchmarks.results import ROOT
from tests.cluster import images, lifecycle, membership
from tests.cluster.build import build
from tests.cluster.console import ClusterError, say
from tests.cluster.locks import exclusive
from tests.cluster.paths import ClusterPaths, cache

CLUSTER = "pynenc-operator-bench"
LONGEST = 55 * 60.0  # seconds of measuring
TIDYING = 60.0  # seconds that one is given to tidy up
OUT_OF_TIME = 130


def main() -> int:
    """Prepare, measure, tidy up."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--short", action="store_true", help="a few tries only")
    arguments = parser.parse_args()
    os.environ.setdefault("PYNENC_CLUSTER", CLUSTER)
    paths = ClusterPaths.current()
    try:
        with exclusive(cache() / "benchmarks.lock", "measuring", timeout=5), cluster(paths, arguments.name):
            return measure(paths, arguments.name, short=arguments.short)
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command begins anew")
        return OUT_OF_TIME


@contextlib.contextmanager
def cluster(paths: ClusterPaths, name: str) -> Iterator[None]:
    """The cluster with the project's images, from its start to its end."""
    build([])
    build(PROGRAMS.get(name, ()))
    try:
        lifecycle.up(paths, 1)
        images.build_and_load()
        yield
    finally:
        if not os.environ.get("KEEP"):
            lifecycle.down(paths)


def measure(paths: ClusterPaths, name: str, *, short: bool) -> int:
    """Run the benchmark in the cluster's network; ended when it takes too long."""
    line = [sys.executable, "-m", "benchmarks.within", name, *(["--short"] if short else [])]
    process = subprocess.Popen(membership.inside(paths, line), env=membership.environment(paths), cwd=ROOT)
    try:
        return process.wait(LONGEST)
    except subprocess.TimeoutExpired:
        say(f"{name} has taken {LONGEST / 60:.0f} minutes, and is ended")
    except KeyboardInterrupt:  # it reached the benchmark too
        say("interrupted; tidying up")
    _end(process)
    return OUT_OF_TIME


def _end(process: subprocess.Popen[bytes]) -> None:
    """Give it time to tidy up, then none."""
    try:
        process.send_signal(signal.SIGTERM)
        process.wait(TIDYING)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
