"""How a burst and rest grow with their size: at five sizes that end at those of `burst` and `idle`."""

import time

from benchmarks import idle, kwok, ours
from benchmarks.bench import Json, Run
from benchmarks.burst import MORE_TASKS, NODES, by_us
from benchmarks.results import Goal, Results
from benchmarks.setups import pools
from benchmarks.spread import exponent

WHAT = "Ours alone at five sizes: seconds until so many pods are made, and what so many runners cost at rest."
BURST, REST = "burst", "rest"
WHOLE = {BURST: (60, 125, 250, 500, 1000), REST: (10, 32, 100, 316, 1000)}
SHORT = {BURST: (10, 50), REST: (2, 20)}
TRIES, WINDOW, SHORT_WINDOW = 3, 120.0, 20.0
# What grows; a power of 1 is as many times as much as there is more to do.
VALUES = {BURST: ("seconds",), REST: ("cores", "redis commands", "requests", "resident")}
LINEAR = 1.1


def measure(run: Run) -> None:
    """The bursts, then the rests, each size after the smaller ones."""
    sizes = SHORT if run.short else WHOLE
    tries = 1 if run.short else TRIES
    with kwok.nodes(NODES, 2 * max(sizes[BURST])), pools() as make:
        pool = make.make("burst")
        tasks = int(max(sizes[BURST]) * MORE_TASKS)
        pool.enqueue(*(("short", 0.0, f"t-{number}") for number in range(tasks)))
        for size in sizes[BURST]:
            for number in range(tries):
                setup = ours.Ours(pool, maxReplicas=size, template={"spec": kwok.PLACED})
                found = by_us(setup, size)
                seconds = round((size - 1) / found["rate"], 3)
                run.results.add(f"{BURST}, {size} pods", number=number, kind=BURST, size=size, seconds=seconds)
                run.say(f"{BURST}, {size} pods: {seconds} s")
    for size in sizes[REST]:
        with pools() as make:
            side = idle.our_side(make, size)
            time.sleep(idle.SETTLING)
            for number in range(tries):
                [(_, found)] = idle.watch((side,), SHORT_WINDOW if run.short else WINDOW)
                run.results.add(f"{REST}, {size} runners", number=number, kind=REST, size=size, **found)
                run.say(f"{REST}, {size} runners: {found}")


def ratios(results: Results) -> Json:
    """The exponents: the power of the size with which each value grows."""
    return {f"{kind}: {value}": power(results, kind, value) for kind, values in VALUES.items() for value in values}


def power(results: Results, kind: str, value: str) -> float | None:
    """The exponent of a value over all tries; None with less than two sizes."""
    found = [(each["size"], each[value]) for each in results.tries if each["kind"] == kind and each[value]]
    if len({size for size, _ in found}) < 2:
        return None
    sizes, values = zip(*found, strict=True)
    return round(exponent(sizes, values), 3)


def goals(results: Results) -> list[Goal]:
    """Nothing grows faster than what there is to do."""
    return [Goal(f"exponent of {what}", LINEAR, found) for what, found in ratios(results).items()]
