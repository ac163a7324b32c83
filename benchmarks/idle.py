"""What it costs when nothing happens: requests to the API server, processor time and questions to Redis, by runners."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from redis import Redis

from benchmarks import keda, ours, stock
from benchmarks.bench import Json, Run
from benchmarks.proc import cpu_of, memory_of
from benchmarks.results import Goal, Results
from benchmarks.scaled import DEFAULT, TUNED, Tuning, scaled_object
from benchmarks.setups import Pools, pools
from tests.e2e.audit import READS, Audit
from tests.e2e.kubernetes import get, is_true, kubectl, wait_until
from tests.e2e.pool import Pool
from tests.e2e.processes import find
from tests.e2e.release import OPERATOR

WHAT = "With nothing to do: requests to the API server, share of a core, commands to Redis, memory, by runners."
WINDOW, LONG_WINDOW = 120.0, 600.0  # seconds
WINDOWS = {1: [WINDOW] * 3, 100: [*[WINDOW] * 5, LONG_WINDOW], 1000: [WINDOW] * 3}  # by runners
# The peer at each of its tunings, with so many runners; the largest last.
WHOLE = ((DEFAULT, 1), (DEFAULT, 100), (TUNED, 100), (DEFAULT, 1000))
SHORT, SHORT_WINDOW = ((DEFAULT, 1), (TUNED, 20)), 20.0
SETTLING = 20.0  # seconds after the last object is known
LEASES = "leases"
AT_A_TIME = 50
BUDGET = 1.1  # requests a second at rest: the Lease's renewals (one in 2 s) and what is left for watches and a resync


@dataclass(frozen=True)
class Side:
    """Who is measured: its user, its processes, its Redis."""

    name: str
    user: str
    pids: tuple[int, ...]
    pool: Pool


def measure(run: Run) -> None:
    """Both sides with the same number of objects, in the same windows: neither has anything to do."""
    run.results.unit = "per second"
    run.results.remarks.append("Both sides are there in the same windows; processor time is each process' own.")
    run.results.settings |= {OPERATOR.name: "as the chart installs it", "keda": keda.SETTINGS}
    for tuning, size in SHORT if run.short else WHOLE:
        # KEDA anew each time: what it remembers of objects that are gone is not counted.
        with pools() as make, keda.running() as peer:
            sides = (our_side(make, size), their_side(make, peer, size, tuning))
            run.say(f"{size} runners and {size} ScaledObjects ({tuning.name}) are known")
            time.sleep(SETTLING)
            for number, seconds in enumerate([SHORT_WINDOW] if run.short else windows(size, tuning)):
                for side, found in watch(sides, seconds):
                    label = f"{side.name}, {size}"
                    run.results.add(label, number=number, runners=size, seconds=seconds, **found)
                    run.say(f"{label}, {seconds:.0f} s: {found}")


def windows(size: int, tuning: Tuning) -> list[float]:
    """For how long to look, each time; beside the tuned peer once."""
    return WINDOWS[size] if tuning is DEFAULT else [WINDOW]


def our_side(make: Pools, size: int) -> Side:
    """So many runners, each for an app of its own on one Redis; returns when all are looked after."""
    pool = make.make(f"ours-{size}")
    create(pool, [ours.runner(f"r{number}", f"app-{number}") for number in range(size)])
    wait_until(lambda: known(pool, "mtr", "BrokerReachable") == size, f"{size} runners are looked after", 600)
    return Side("ours", OPERATOR.account, (operators_process(),), pool)


def operators_process() -> int:
    """Its pid."""
    [pod] = OPERATOR.pods()
    return find(pod, "pynenc_operator")


def their_side(make: Pools, peer: keda.Keda, size: int, tuning: Tuning) -> Side:
    """So many ScaledObjects, each over a Deployment of its own."""
    pool = make.make(f"keda-{size}", stock.SELECTOR)
    objects: list[Json] = []
    for number in range(size):
        name = f"r{number}"
        objects += [stock.deployment(name=name), scaled_object(pool, tuning, name, f"app-{number}")]
    create(pool, objects)
    wait_until(lambda: known(pool, "scaledobjects", "Ready") == size, f"{size} ScaledObjects are ready", 600)
    return Side(tuning.name, keda.USER, tuple(peer.pids().values()), pool)


def create(pool: Pool, objects: list[Json]) -> None:
    """Make them all, some at a time: each command has two minutes."""
    for begin in range(0, len(objects), AT_A_TIME):
        listed = {"apiVersion": "v1", "kind": "List", "items": objects[begin : begin + AT_A_TIME]}
        kubectl("create", "-n", pool.namespace, "-f", "-", input=json.dumps(listed))


def known(pool: Pool, kind: str, condition: str) -> int:
    """How many of the objects have a condition that is True."""
    return sum(is_true(each, condition) for each in get(kind, "-n", pool.namespace)["items"])


def watch(
    sides: tuple[Side, ...], seconds: float, during: Callable[[float], None] = time.sleep
) -> list[tuple[Side, Json]]:
    """What each side costs in the next seconds, in which something may be done."""
    audit, began = Audit(), time.monotonic()
    before = {side.name: (cpu_of(*side.pids), commands(side.pool)) for side in sides}
    during(seconds)
    took = time.monotonic() - began
    found: list[tuple[Side, Json]] = []
    for side in sides:
        cpu, asked = before[side.name]
        requests = audit.of(side.user)
        found.append(
            (
                side,
                {
                    "cores": round((cpu_of(*side.pids) - cpu) / took, 5),
                    "requests": round(sum(requests.values()) / took, 3),
                    "reads": round(sum(n for (verb, _), n in requests.items() if verb in READS) / took, 3),
                    "but leases": round(but_leases(requests) / took, 3),
                    "redis commands": round((commands(side.pool) - asked) / took, 1),
                    "resident": sum(memory_of(pid).resident for pid in side.pids),
                },
            )
        )
    return found


def but_leases(requests: Counter[tuple[str, str]]) -> int:
    """Requests but those that hold the Lease."""
    return sum(n for (_, what), n in requests.items() if what != LEASES)


def commands(pool: Pool) -> int:
    """How many commands the side's Redis has been sent."""
    with Redis.from_url(f"redis://redis.{pool.namespace}.svc:6379", socket_timeout=10) as redis:
        return int(redis.info("stats")["total_commands_processed"])


def goals(results: Results) -> list[Goal]:
    """Those of issue 7."""
    requests = {size: results.at(f"ours, {size}", "requests", "max") for size in WINDOWS}
    return [
        Goal("share of a core at 100 runners, median", 0.01, results.at("ours, 100", "cores")),
        *(Goal(f"requests a second, at most, {size} runners", BUDGET, most) for size, most in requests.items()),
    ]


def ratios(results: Results) -> Json:
    """KEDA's over ours, by number of runners: medians."""
    return {
        f"{tuning.name}, {size}": {
            value: results.ratio(value, f"{tuning.name}, {size}", f"ours, {size}")
            for value in ("cores", "requests", "redis commands", "resident")
        }
        for tuning, size in WHOLE
    }
