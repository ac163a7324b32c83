"""How a burst, a fleet and rest grow with their size: at five sizes that end at those of the benchmarks of each."""

import time

from benchmarks import fleet, idle, kwok, ours
from benchmarks.bench import Json, Run
from benchmarks.burst import MORE_TASKS, NODES, by_us
from benchmarks.results import Goal, Results
from benchmarks.setups import Pools, pools
from benchmarks.spread import exponent

WHAT = (
    "Ours alone at five sizes: seconds until so many pods are made; what so many runners cost, with ten reporting "
    "workers each and at rest."
)
BURST, FLEET, REST = "burst", "fleet", "rest"
WHOLE = {BURST: (60, 125, 250, 500, 1000), FLEET: (60, 125, 250, 500, 1000), REST: (10, 32, 100, 316, 1000)}
SHORT = {BURST: (10, 50), FLEET: (5, 20), REST: (2, 20)}
PODS = fleet.WHOLE.pods
TRIES, WINDOW, SHORT_WINDOW = 3, 60.0, 20.0
# What grows; a power of 1 is as many times as much as there is more to do.
VALUES = {
    BURST: ("seconds",),
    FLEET: ("cores", "resident"),
    REST: ("cores", "redis commands", "requests", "resident"),
}
LINEAR = 1.1


def measure(run: Run) -> None:
    """One after the other, each size after the smaller ones."""
    sizes = SHORT if run.short else WHOLE
    room = 2 * max(*sizes[BURST], PODS * max(sizes[FLEET])) // NODES
    with kwok.nodes(NODES, room), pools() as make:
        bursts(run, make, sizes[BURST])
        fleets(run, make, sizes[FLEET])
    rests(run, sizes[REST])


def bursts(run: Run, make: Pools, sizes: tuple[int, ...]) -> None:
    """From zero to so many pods."""
    pool = make.make(BURST)
    pool.enqueue(*(("short", 0.0, f"t-{number}") for number in range(int(max(sizes) * MORE_TASKS))))
    for size in sizes:
        for number in range(tries(run)):
            setup = ours.Ours(pool, maxReplicas=size, template={"spec": kwok.PLACED})
            found = by_us(setup, size)
            add(run, BURST, number, size, {"seconds": round((size - 1) / found["rate"], 3)})


def fleets(run: Run, make: Pools, sizes: tuple[int, ...]) -> None:
    """Runners whose workers report, as many times as often as there are more of them."""
    growing = fleet.Fleet(make.make(FLEET, fleet.NOBODY), PODS)
    try:
        for size in sizes:
            growing.grow(run, size)
            time.sleep(idle.SETTLING)
            for number in range(tries(run)):
                rate = fleet.REPORTS * size / max(sizes)
                add(run, FLEET, number, size, growing.window(window(run), rate))
    finally:
        growing.end()


def rests(run: Run, sizes: tuple[int, ...]) -> None:
    """Runners with nothing to do."""
    for size in sizes:
        with pools() as make:
            side = idle.our_side(make, size)
            time.sleep(idle.SETTLING)
            for number in range(tries(run)):
                [(_, found)] = idle.watch((side,), window(run))
                add(run, REST, number, size, found)


def tries(run: Run) -> int:
    """How often each size is tried."""
    return 1 if run.short else TRIES


def window(run: Run) -> float:
    """How many seconds are watched."""
    return SHORT_WINDOW if run.short else WINDOW


def add(run: Run, kind: str, number: int, size: int, found: Json) -> None:
    """Note one try."""
    what = f"{kind}, {size} {'pods' if kind == BURST else 'runners'}"
    run.results.add(what, number=number, kind=kind, size=size, **found)
    run.say(f"{what}: {found}")


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
