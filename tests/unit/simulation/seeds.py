"""Many seeds on all cores, and what came of each."""

import gc
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.unit.simulation import anything
from tests.unit.simulation.run import BusyPodDeletedError, ViolationError
from tests.unit.simulation.scenario import Scenario
from tests.unit.simulation.world import SHOWN, simulate

CHUNK: Final = 20  # seeds that a process takes at a time
GARBAGE: Final = 200_000  # objects between two collections


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one seed; `problem` is empty where all that must hold has held."""

    seed: int
    scale_downs: int = 0
    busy_pods_deleted: int = 0
    problem: str = ""


@dataclass(slots=True)
class Sum:
    """What came of many."""

    seeds: int = 0
    scale_downs: int = 0
    busy_pods_deleted: int = 0
    failed: int = 0

    def add(self, result: Result) -> None:
        self.seeds += 1
        self.scale_downs += result.scale_downs
        self.busy_pods_deleted += result.busy_pods_deleted
        self.failed += bool(result.problem)

    def __str__(self) -> str:
        return f"{self.seeds} seeds, {self.scale_downs} scale-downs, {self.busy_pods_deleted} busy pods deleted"


def run_seed(seed: int, tell: Callable[[int], Scenario] = anything.scenario, *, shown: int = SHOWN) -> Result:
    """Run the scenario of one seed; an error of the simulation or of the operator is a problem like any other."""
    try:
        outcome = simulate(tell(seed), seed, shown=shown)
    except BusyPodDeletedError as violation:
        return Result(seed, busy_pods_deleted=1, problem=str(violation))
    except ViolationError as violation:
        return Result(seed, problem=str(violation))
    except Exception:  # noqa: BLE001 - a bug is reported with its seed, and the other seeds go on
        return Result(seed, problem=traceback.format_exc())
    return Result(seed, scale_downs=outcome.scale_downs)


def run_seeds(seeds: Iterable[int], processes: int | None = None) -> Iterator[Result]:
    """Run seeds side by side; the results come as they are ready. Closing the iterator ends the processes."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is begun now inherits this, from its first moment on
    try:
        pool = multiprocessing.get_context("spawn").Pool(processes or os.cpu_count(), initializer=_begin)
    finally:
        signal.signal(signal.SIGINT, before)
    with pool:
        yield from pool.imap_unordered(run_seed, seeds, chunksize=CHUNK)


def _begin() -> None:
    """Collect garbage rarely: there is much that lives for the length of a run."""
    gc.freeze()
    gc.set_threshold(GARBAGE)
