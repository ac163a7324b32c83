"""One worker pod beside one of pynenc's own: its start, its tasks a second, its memory."""

import time

from benchmarks import ours, stock
from benchmarks.bench import Json, Run
from benchmarks.proc import memory_of, start_of
from benchmarks.results import MEDIANS, Goal, Results
from benchmarks.setups import Setup, pools
from benchmarks.spread import interleaved
from benchmarks.steady import Steady
from tests.e2e.kubernetes import wait_until
from tests.e2e.processes import find

WHAT = (
    "One pod for waiting tasks that do nothing: process start to first task, tasks a second, memory when all is done."
)
OURS, STOCK = "ours", "stock"
PROGRAMS = {OURS: "pynenc_worker", STOCK: "pynenc"}
TASKS = {1: 100, 8: 600}  # by threads of the pod
WHOLE, SHORT = 10, 1
RESTED = 2.0  # seconds after the last task, before memory is looked at


def measure(run: Run) -> None:
    """Ours and pynenc's own in turn, with one thread a pod and with eight."""
    run.results.unit = "s, tasks/s, MiB"
    tries = SHORT if run.short else WHOLE
    for threads, tasks in TASKS.items():
        with pools() as make:
            setups: dict[str, Setup] = {
                OURS: ours.Ours(
                    make.make(f"ours-{threads}"), maxReplicas=1, maxThreads=threads, idleTimeoutSeconds=600
                ),
                STOCK: Steady(make.make(f"stock-{threads}", stock.SELECTOR), STOCK, threads),
            }
            for name, setup in setups.items():
                run.results.settings[label(name, threads)] = setup.settings
            for name, number in interleaved({OURS: tries, STOCK: tries}):
                found = one_try(setups[name], tasks if not run.short else tasks // 5, f"{name}-{number}")
                run.results.add(label(name, threads), number=number, **found)
                run.say(f"{label(name, threads)}: {found}")


def label(name: str, threads: int) -> str:
    """A set-up with so many threads a pod, as the results call it."""
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"


def one_try(setup: Setup, tasks: int, name: str) -> Json:
    """Call the tasks while no worker is there, then start one."""
    pool, already = setup.pool, len(setup.pool.queue.begun())
    pool.enqueue(*(("short", 0.0, f"{name}-{number}") for number in range(tasks)))
    setup.start()
    [pod] = wait_until(setup.live, "a pod is made")
    pool.until_succeeded()
    time.sleep(RESTED)
    pid = find(pod["metadata"]["uid"], PROGRAMS[setup.name])
    begun = sorted(float(each["started"]) for each in pool.queue.begun()[already:])
    held = memory_of(pid)
    found = {
        "first task after": round(begun[0] - start_of(pid), 3),
        "tasks per second": round((tasks - 1) / (begun[-1] - begun[0]), 2),
        "resident": held.resident,
        "private": held.private,
    }
    setup.stop()
    return found


def goals(results: Results) -> list[Goal]:
    """Those of issue 7: medians, with each number of threads."""
    found: list[Goal] = []
    for threads in TASKS:
        more = {what: _more(results, threads, what) for what in ("resident", "first task after")}
        rate = results.ratio("tasks per second", label(OURS, threads), label(STOCK, threads))
        words = label("", threads).removeprefix(", ")
        found += [
            Goal(f"more memory than stock, {words}", 5.0, more["resident"], unit="MiB", by=MEDIANS),
            Goal(f"later with the first task than stock, {words}", 0.1, more["first task after"], unit="s", by=MEDIANS),
            Goal(f"tasks a second, share of stock's, {words}", 0.98, rate, at_least=True, by=MEDIANS),
        ]
    return found


def ratios(results: Results) -> Json:
    """Ours over stock's, medians."""
    values = ("first task after", "tasks per second", "resident", "private")
    return {
        label("", threads).removeprefix(", "): {
            value: results.ratio(value, label(OURS, threads), label(STOCK, threads)) for value in values
        }
        for threads in TASKS
    }


def _more(results: Results, threads: int, value: str) -> float | None:
    mine, theirs = (results.at(label(name, threads), value) for name in (OURS, STOCK))
    return None if mine is None or theirs is None else round(mine - theirs, 3)
