"""Long and short tasks together: whether the long ones are left alone, how soon all is done, what the pods cost."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import keda, ours, stock
from benchmarks.bench import Json, Run
from benchmarks.results import MEDIANS, WORST, Goal, Results
from benchmarks.scaled import DEFAULT, TUNED, ScaledJob, ScaledObject
from benchmarks.setups import Pools, Setup, pools
from benchmarks.spread import interleaved
from tests.e2e.taskqueue import Task

WHAT = "Long and short tasks enqueued at once, at most 10 pods of one thread: executions, time, pod-seconds."
OURS, JOBS = "ours", "keda jobs"
GIVEN_UP = 600.0  # seconds after which a set-up that is not done is told as such
LOOK = 0.1


@dataclass(frozen=True)
class Load:
    """So many long and short tasks."""

    long: int
    long_seconds: float
    short: int
    short_seconds: float

    @property
    def name(self) -> str:
        """As the results call it."""
        return f"{self.long} x {self.long_seconds:g} s and {self.short} x {self.short_seconds:g} s"

    @property
    def seconds(self) -> float:
        """What the tasks take, if each runs once."""
        return self.long * self.long_seconds + self.short * self.short_seconds

    def tasks(self) -> list[Task]:
        """The tasks in the order of their calls: the long ones spread among the short ones."""
        every = (self.long + self.short) // self.long
        found: list[Task] = []
        for number in range(self.long):
            found.append(("long", self.long_seconds, f"long-{number:02}"))
            found += [self._short(n) for n in range(number * (every - 1), (number + 1) * (every - 1))]
        return found + [self._short(n) for n in range(self.long * (every - 1), self.short)]

    def _short(self, number: int) -> Task:
        return ("short", self.short_seconds, f"short-{number:03}")


WHOLE = (Load(6, 90, 14, 2), Load(4, 40, 200, 0.5))
SHORT = (Load(2, 10, 6, 1),)
MAKERS: dict[str, Callable[[Pools, str], Setup]] = {
    OURS: lambda make, name: ours.Ours(make.make(name)),
    TUNED.name: lambda make, name: ScaledObject(make.make(name, stock.SELECTOR), TUNED),
    DEFAULT.name: lambda make, name: ScaledObject(make.make(name, stock.SELECTOR), DEFAULT),
    JOBS: lambda make, name: ScaledJob(make.make(name, stock.SELECTOR), JOBS),
}


# How often each is tried: those that end soon come near each other, and the others may take ten minutes.
TRIES = {OURS: 3, JOBS: 3, TUNED.name: 1, DEFAULT.name: 1}


def measure(run: Run) -> None:
    """Each load by each set-up, one after the other and in turn, each in a namespace of its own."""
    loads = SHORT if run.short else WHOLE
    with keda.running():
        run.say("KEDA answers")
        for place, load in enumerate(loads):
            for turn, (name, number) in enumerate(interleaved(dict.fromkeys(MAKERS, 1) if run.short else TRIES)):
                with pools() as make:
                    setup = MAKERS[name](make, f"mixed-{place}-{turn}")
                    run.results.settings[name] = setup.settings
                    setup.start()
                    found = one_try(setup, load, until=60.0 if run.short else GIVEN_UP)
                    run.results.add(label(name, load.name), number=number, side=name, load=load.name, **found)
                    setup.stop()
                line = f"{load.name}, {name}: {told(found)}"
                run.say(line)
                if not found["all done"]:
                    run.results.remarks.append(line)


def one_try(setup: Setup, load: Load, until: float) -> Json:
    """Call all tasks at zero pods; what became of them, and how long the pods were there, until the last was gone."""
    tasks, pool = load.tasks(), setup.pool
    began = time.monotonic()
    pool.enqueue(*tasks)
    while pool.queue.succeeded() < len(tasks) and time.monotonic() - began < until:
        time.sleep(LOOK)
    done, took = pool.queue.succeeded(), time.monotonic() - began
    used = setup.pod_seconds()  # until all was done: what a set-up keeps afterwards is told apart
    while setup.live() and time.monotonic() - began < until:
        time.sleep(LOOK)
    gone = not setup.live()
    times = Counter(pool.queue.executions())
    return {
        "done": done,
        "tasks": len(tasks),
        "all done": round(took, 1) if done >= len(tasks) else None,
        "executions per task": round(sum(times.values()) / len(tasks), 3),
        "executions of a long task, at most": max(times[name] for kind, _, name in tasks if kind == "long"),
        "pods": len(pool.history.uids()),
        "pod-seconds until done": round(used, 1),
        "pod-seconds": round(setup.pod_seconds(), 1),
        "pod-seconds not of use": round(setup.pod_seconds() - load.seconds, 1),
        "at zero after": round(time.monotonic() - began, 1) if gone else None,
    }


def told(found: Json) -> str:
    """A try in a line."""
    when = f"{found['all done']} s" if found["all done"] else "NOT DONE when given up"
    return (
        f"{found['done']} of {found['tasks']} done, {when}, {found['executions per task']} executions a task, "
        f"{found['pod-seconds']} pod-seconds"
    )


def label(side: str, load: str) -> str:
    """What a side's tries at a load are called."""
    return f"{side}, {load}"


def loads_of(results: Results) -> list[str]:
    """Those that were tried."""
    return list(dict.fromkeys(each["load"] for each in results.tries))


def goals(results: Results) -> list[Goal]:
    """No task is done twice; and no set-up that was done at all has needed less, by medians."""
    found: list[Goal] = []
    for load in loads_of(results):
        mine = label(OURS, load)
        times = results.at(mine, "executions per task", "max")
        found.append(Goal(f"{load}: executions per task", 1.0, times, by=WORST))
        for what, unit in (("all done", "s"), ("pod-seconds", "")):
            peers = (label(side, load) for side in MAKERS if side != OURS)
            limits = [results.at(peer, what) for peer in peers if results.at(peer, "all done") is not None]
            value = results.at(mine, what)
            # Where no peer was done, it is enough that ours was.
            limit = min((limit for limit in limits if limit is not None), default=value or 0.0)
            found.append(Goal(f"{load}: {what}, the least of all", limit, value, unit=unit, by=MEDIANS))
    return found


def ratios(results: Results) -> Json:
    """By load, the peers' figures over ours, medians; nothing of a peer that was not done."""
    return {
        load: {
            side: {
                what: results.ratio(what, label(side, load), label(OURS, load))
                for what in ("all done", "pod-seconds", "executions per task")
            }
            for side in MAKERS
            if side != OURS and results.at(label(side, load), "all done") is not None
        }
        for load in loads_of(results)
    }
