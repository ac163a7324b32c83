"""What it costs when nothing happens: requests to the API server, processor time and questions to Redis, by runners."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from redis import Redis

from benchmarks import keda, ours, stock
from benchmarks.bench import Json, Run
from benchmarks.proc import cpu_of, memory_of
from benchmarks.results import TOGETHER, WORST, Goal, Results
from benchmarks.scaled import DEFAULT, Tuning, scaled_object
from benchmarks.setups import Pools, pools
from tests.e2e.audit import READS, Audit
from tests.e2e.kubernetes import get, is_true, kubectl, wait_until
from tests.e2e.pool import Pool
from tests.e2e.processes import find
from tests.e2e.release import OPERATOR

WHAT = "With nothing to do: requests to the API server, share of a core, commands to Redis, memory, by runners."
OURS = "ours"
WHOLE, SHORT = (1, 100, 1000), (1, 20)  # runners, and as many ScaledObjects
WINDOW, SHORT_WINDOW, WINDOWS = 120.0, 10.0, 5  # seconds; so many in a row, which together are one more
AT_REST, LOOK, LOOKS, AT_REST_WITHIN = (
    0.2,
    15.0,
    2,
    420.0,
)  # requests a second; seconds, so many looks in a row; seconds
LEASES = "leases"
RENEWALS = 0.2  # a second, of the Lease, at least: fewer, and the audit log does not tell of them all
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
    run.results.settings |= {OPERATOR.name: "as the chart installs it", "keda": keda.SETTINGS}
    window = SHORT_WINDOW if run.short else WINDOW
    with pools() as make, keda.running() as peer:
        sides = (our_side(make), their_side(make, peer, DEFAULT))
        for before, size in pairwise((0, *(SHORT if run.short else WHOLE))):
            more_runners(sides[0], range(before, size))
            more_scaled_objects(sides[1], range(before, size), DEFAULT)
            until_at_rest(run, *sides)
            rows(run, sides, size, window)


def rows(run: Run, sides: tuple[Side, ...], size: int, window: float) -> None:
    """The windows one after the other, and all of them as one."""

    def each(seconds: float) -> None:
        for number in range(WINDOWS):
            note(watch(sides, seconds / WINDOWS), "", number)

    def note(found: list[tuple[Side, Json]], which: str, number: int) -> None:
        for side, values in found:
            label = f"{side.name}, {size}{which}"
            run.results.add(label, number=number, runners=size, **values)
            run.say(f"{label}: {values}")

    note(watch(sides, WINDOWS * window, each), ", all windows", 0)


def our_side(make: Pools) -> Side:
    """The operator, with no runner yet."""
    return Side(OURS, OPERATOR.account, (operators_process(),), make.make("ours"))


def more_runners(side: Side, numbers: range) -> None:
    """Runners of these numbers besides those before, each for an app of its own on one Redis, until all are known."""
    create(side.pool, [ours.runner(f"r{number}", f"app-{number}") for number in numbers])
    until_known(side, "mtr", "BrokerReachable", numbers.stop)


def operators_process() -> int:
    """Its pid."""
    wait_until(lambda: len(OPERATOR.pods()) == 1, "there is one pod of the operator")
    [pod] = OPERATOR.pods()
    return find(pod, "pynenc_operator")


def their_side(make: Pools, peer: keda.Keda, tuning: Tuning) -> Side:
    """KEDA, with no ScaledObject yet."""
    return Side(tuning.name, keda.USER, tuple(peer.pids().values()), make.make("keda", stock.SELECTOR))


def more_scaled_objects(side: Side, numbers: range, tuning: Tuning) -> None:
    """ScaledObjects of these numbers besides those before, each over a Deployment of its own, until all are known."""
    objects: list[Json] = []
    for number in numbers:
        name = f"r{number}"
        objects += [stock.deployment(name=name), scaled_object(side.pool, tuning, name, f"app-{number}")]
    create(side.pool, objects)
    until_known(side, "scaledobjects", "Ready", numbers.stop)


def create(pool: Pool, objects: list[Json]) -> None:
    """Make them all, some at a time: each command has two minutes."""
    for begin in range(0, len(objects), AT_A_TIME):
        listed = {"apiVersion": "v1", "kind": "List", "items": objects[begin : begin + AT_A_TIME]}
        kubectl("create", "-n", pool.namespace, "-f", "-", input=json.dumps(listed))


def until_known(side: Side, kind: str, condition: str, size: int) -> None:
    """Wait until so many objects have a condition that is True."""

    def known() -> bool:
        found = get(kind, "-n", side.pool.namespace)["items"]
        return sum(is_true(each, condition) for each in found) == size

    wait_until(known, f"{size} {kind} are known", 600)


def until_at_rest(run: Run, *sides: Side) -> None:
    """Wait until hardly a request is made but those that hold the Leases: what start-up leaves to do is no rest."""
    began, quiet = time.monotonic(), 0
    while quiet < LOOKS and time.monotonic() - began < AT_REST_WITHIN:
        audit = Audit()
        time.sleep(LOOK)
        rates = [but_leases(audit.of(side.user)) / LOOK for side in sides]
        quiet = quiet + 1 if max(rates) <= AT_REST else 0
    names = " and ".join(side.name for side in sides)
    state = "at rest" if quiet >= LOOKS else "NOT AT REST"
    run.say(f"{names}: {state} after {time.monotonic() - began:.0f} s")
    if quiet < LOOKS:
        run.results.remarks.append(f"{names}: not at rest after {AT_REST_WITHIN:.0f} s, and measured all the same.")


def watch(
    sides: tuple[Side, ...], seconds: float, during: Callable[[float], None] = time.sleep
) -> list[tuple[Side, Json]]:
    """What each side costs in the next seconds, in which something may be done."""
    audit, began = Audit(), time.monotonic()
    before = [(cpu_of(*side.pids), commands(side.pool)) for side in sides]
    during(seconds)
    took = time.monotonic() - began
    after = [(cpu_of(*side.pids), commands(side.pool)) for side in sides]  # the log takes a while to read
    found: list[tuple[Side, Json]] = []
    for side, (cpu, asked), (cpu_now, asked_now) in zip(sides, before, after, strict=True):
        requests = audit.of(side.user)
        every, others = sum(requests.values()), but_leases(requests)
        reads = sum(n for (verb, _), n in requests.items() if verb in READS)
        if every - others < RENEWALS * took:
            raise AssertionError(f"the audit log tells of {every - others} renewals of the Lease of {side.name}")
        values = {
            "seconds": round(took, 1),
            "cores": round((cpu_now - cpu) / took, 5),
            "requests": round(every / took, 3),
            "reads": round(reads / took, 3),
            "writes": round((every - reads) / took, 3),
            "but leases": round(others / took, 3),
            "redis commands": round((asked_now - asked) / took, 1),
            "resident": sum(memory_of(pid).resident for pid in side.pids),
        }
        found.append((side, values))
    return found


def but_leases(requests: Counter[tuple[str, str]]) -> int:
    """Requests but those that hold the Lease."""
    return sum(n for (_, what), n in requests.items() if what != LEASES)


def commands(pool: Pool) -> int:
    """How many commands the side's Redis has been sent."""
    return redis_stat(pool, "total_commands_processed")


def redis_stat(pool: Pool, name: str) -> int:
    """A figure of a pool's Redis."""
    with Redis.from_url(f"redis://redis.{pool.namespace}.svc:6379", socket_timeout=10) as redis:
        return int(redis.info("stats")[name])


def goals(results: Results) -> list[Goal]:
    """At rest a fleet costs next to nothing; the budget of requests is that of docs/architecture.md."""
    requests = {size: results.at(f"{OURS}, {size}", "requests", "max") for size in WHOLE}
    return [
        Goal("share of a core at 100 runners", 0.01, results.at(f"{OURS}, 100, all windows", "cores"), by=TOGETHER),
        *(Goal(f"requests a second, {size} runners", BUDGET, most, by=WORST) for size, most in requests.items()),
    ]


def ratios(results: Results) -> Json:
    """KEDA's over ours, by number of runners: medians."""
    return {
        f"{DEFAULT.name}, {size}": {
            value: results.ratio(value, f"{DEFAULT.name}, {size}", f"{OURS}, {size}")
            for value in ("cores", "requests", "redis commands", "resident")
        }
        for size in WHOLE
    }
