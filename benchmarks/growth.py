"""How a burst, a fleet and rest grow with their size: at five sizes that end at those of the benchmarks of each."""

from itertools import pairwise

from benchmarks import fleet, idle, kwok, ours
from benchmarks.bench import Json, Run
from benchmarks.burst import MORE_TASKS, NODES, by_us
from benchmarks.results import ALL, WORST, Goal, Results
from benchmarks.setups import Pools, pools
from benchmarks.spread import power

WHAT = (
    "Ours alone at five sizes: seconds from the first pod's creation to the last's; what so many runners cost, with "
    "ten reporting workers each and at rest."
)
BURST, FLEET, REST = "burst", "fleet", "rest"
WHOLE = {BURST: (60, 125, 250, 500, 1000), FLEET: (60, 125, 250, 500, 1000), REST: (10, 32, 100, 316, 1000)}
SHORT = {BURST: (10, 50), FLEET: (5, 20), REST: (2, 20)}
PODS = fleet.WHOLE.pods
TRIES, WINDOW, SHORT_WINDOW = 3, 45.0, 10.0
# What grows. Requests at rest are those of the Leases, whose number is judged.
VALUES = {
    BURST: ("seconds",),
    FLEET: ("cores", "resident"),
    REST: ("cores", "redis commands", "resident"),
}
LINEAR = 1.2  # five sizes are too few to tell a power to more than a fifth


def measure(run: Run) -> None:
    """One after the other, each size after the smaller ones."""
    sizes = SHORT if run.short else WHOLE
    room = 2 * max(*sizes[BURST], PODS * max(sizes[FLEET])) // NODES
    rests(run, sizes[REST])
    with kwok.nodes(NODES, room), pools() as make:
        ours.install()  # an operator anew each time: what one has held in memory, it keeps
        bursts(run, make, sizes[BURST])
        ours.install()
        fleets(run, make, sizes[FLEET])


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
            for number in range(tries(run)):
                rate = fleet.REPORTS * size / max(sizes)
                add(run, FLEET, number, size, growing.window(window(run), rate))
    finally:
        growing.end()


def rests(run: Run, sizes: tuple[int, ...]) -> None:
    """Runners with nothing to do."""
    with pools() as make:
        side = idle.our_side(make)
        for before, size in pairwise((0, *sizes)):
            idle.more_runners(side, range(before, size))
            idle.until_at_rest(run, side)
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
    """The power of the size with which each value grows."""
    return {f"{kind}: {value}": grows(results, kind, value) for kind, values in VALUES.items() for value in values}


def grows(results: Results, kind: str, value: str) -> float | None:
    """The power of a value over all tries; None with less than three sizes, which fit to anything."""
    found = [(each["size"], each[value]) for each in results.tries if each["kind"] == kind and each[value]]
    if len({size for size, _ in found}) < 3:
        return None
    return power(*zip(*found, strict=True))


def goals(results: Results) -> list[Goal]:
    """Nothing grows faster than what there is to do, and at rest the requests do not grow at all."""
    requests = max((each["requests"] for each in results.tries if each["kind"] == REST), default=None)
    return [
        *(Goal(f"power of the size, {what}", LINEAR, found, by=ALL) for what, found in ratios(results).items()),
        Goal("requests a second at rest, any size", idle.BUDGET, requests, by=WORST),
    ]
