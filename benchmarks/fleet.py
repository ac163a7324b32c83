"""Many runners on one Redis, their workers reporting all the time: how late each is looked at, and what that costs."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from benchmarks import idle, keda, kwok, ours, scrape
from benchmarks.bench import Json, Run
from benchmarks.proc import MIB
from benchmarks.reports import Reporters
from benchmarks.results import TOGETHER, WORST, Goal, Results
from benchmarks.scaled import TUNED
from benchmarks.setups import Pools, pools
from benchmarks.spread import quantile
from tests.e2e.history import WORKERS
from tests.e2e.kubernetes import read, wait_until
from tests.e2e.observed import OPERATORS_PORT, page
from tests.e2e.pool import Pool, delete_runners
from tests.e2e.release import OPERATOR

WHAT = (
    "A thousand runners on one Redis with ten workers each (kwok), of which fifty a second report; looks' delay, cost."
)
SCRAPE = "a scrape takes, at most"
OURS, RESTING, ALL, PEER = "ours, reports", "ours, no reports", "ours, all windows", TUNED.name
NODES = 10
REPORTS = 50.0  # a second
NOBODY = "nobody=watched"  # the pods' history would cost more than what is measured
MADE_WITHIN = 1500.0
LOOKS = "pynenc_operator_reconciles_total"
SOCKET_READS = "Redis' reads of its connections a second"
READS = 10.0  # a second: looks that are due in the same tenth share one
SCRAPE_INTERVAL = 15.0  # seconds: somebody's Prometheus, whom rendering has to serve beside everything else


@dataclass(frozen=True)
class Size:
    """How much of it there is."""

    runners: int
    pods: int  # of each
    tries: int
    seconds: float

    @property
    def all_pods(self) -> int:
        """Of all runners."""
        return self.runners * self.pods


WHOLE, SHORT = Size(1000, 10, 5, 60.0), Size(20, 5, 1, 20.0)


def measure(run: Run) -> None:
    """Ours, then the peer: two fleets at a time would be more than the machine."""
    size = SHORT if run.short else WHOLE
    run.results.settings |= {"runners": size.runners, "pods": size.all_pods, "reports a second": REPORTS}
    run.results.settings |= {"nodes": NODES, "keda": keda.SETTINGS, "scraped every": SCRAPE_INTERVAL}
    run.results.remarks.append(f"{PEER} has as many ScaledObjects over Deployments without pods: it looks at none.")
    with kwok.nodes(NODES, 2 * size.all_pods // NODES), pools() as make:
        by_us(run, make, size)
    with pools() as make, keda.running() as peer:
        by_keda(run, make, peer, size)


def by_us(run: Run, make: Pools, size: Size) -> None:
    """Windows with and without reports, in turn."""
    fleet = Fleet(make.make("ours", NOBODY), size.pods)
    try:
        fleet.grow(run, size.runners)
        began = metrics()
        for number in range(size.tries):
            for name, rate in {RESTING: 0.0, OURS: REPORTS}.items():
                found = fleet.window(size.seconds, rate)
                run.results.add(name, number=number, **found)
                run.say(f"{name}: {found}")
        found = delays(began, metrics())
        run.results.add(ALL, **found)
        run.say(f"{ALL}: {found}")
    finally:
        fleet.end()


class Fleet:
    """Runners whose pods stay as they are, so many each."""

    def __init__(self, pool: Pool, pods: int) -> None:
        self._pool = pool
        self._pods = pods
        self._runners = 0
        self._strangers = pods_in(pool)  # its Redis
        self._workers = Reporters(pool.namespace)
        self._side = idle.Side(OURS, OPERATOR.account, (idle.operators_process(),), pool)

    def grow(self, run: Run, runners: int) -> None:
        """Have so many runners; returns when the operator has seen the reports of all their workers, and is at rest."""
        new = range(self._runners, runners)
        self._runners = runners
        pods = runners * self._pods
        idle.create(self._pool, [self._runner(number) for number in new])
        wait_until(lambda: pods_in(self._pool) >= pods + self._strangers, f"{pods} pods are made", MADE_WITHIN)
        run.say(f"{pods} pods are made")
        self._workers.begin(f"r{number}-{pod}" for number in new for pod in range(self._pods))
        wait_until(lambda: known_workers() == pods, "the operator has seen all workers' reports", MADE_WITHIN)
        run.say(f"{pods} workers have reported")
        idle.until_at_rest(run, self._side)

    def window(self, seconds: float, rate: float) -> Json:
        """What so many seconds show, with so many reports a second."""
        load: Callable[[float], None] = time.sleep
        if rate:
            load = partial(self._workers.report, rate=rate)
        before, counts = metrics(), reads(self._pool)
        with scraped(partial(page, address(), OPERATORS_PORT)) as took:
            [(_, found)] = idle.watch((self._side,), seconds, load)
        after, counts = metrics(), reads(self._pool) - counts
        looks = scrape.total(after, LOOKS) - scrape.total(before, LOOKS)
        rates = {"looks a second": round(looks / seconds, 1), "redis reads": round(counts / seconds, 1)}
        return {**found, **delays(before, after), **rates, SCRAPE: longest(took)}

    def end(self) -> None:
        """Delete all of it: the pods at once, where the garbage collector would take each by itself."""
        delete_runners(self._pool.namespace)
        kwok.delete_pods(self._pool.namespace, WORKERS)

    def _runner(self, number: int) -> Json:
        body = ours.runner(f"r{number}", f"app-{number}")
        body["spec"] |= {"minReplicas": self._pods, "maxReplicas": self._pods, "idleTimeoutSeconds": 36_000}
        body["spec"] |= {"startDeadlineSeconds": 7200, "template": {"spec": kwok.PLACED}}
        return body


def by_keda(run: Run, make: Pools, peer: keda.Keda, size: Size) -> None:
    """The same windows of the peer, which has nothing but queues to look at."""
    side = idle.their_side(make, peer, TUNED)
    idle.more_scaled_objects(side, range(size.runners), TUNED)
    idle.until_at_rest(run, side)
    for number in range(size.tries):
        with scraped(peer.metrics) as took:
            [(_, found)] = idle.watch((side,), size.seconds)
        found[SCRAPE] = longest(took)
        late = [each.value for each in scrape.samples(peer.metrics(), "keda_internal_scale_loop_latency_seconds")]
        found["tick lag p99"] = round(quantile(late, 0.99), 3) if late else None
        run.results.add(PEER, number=number, **found)
        run.say(f"{PEER}: {found}")


@contextmanager
def scraped(ask: Callable[[], str]) -> Iterator[list[float]]:
    """Have the metrics asked for now and then; the seconds that each answer took."""
    took: list[float] = []
    over = threading.Event()

    def scrape_on() -> None:
        while not over.wait(SCRAPE_INTERVAL):
            began = time.monotonic()
            ask()
            took.append(time.monotonic() - began)

    thread = threading.Thread(target=scrape_on, daemon=True)
    thread.start()
    try:
        yield took
    finally:
        over.set()
        thread.join()


def longest(seconds: list[float]) -> float | None:
    """Of some."""
    return round(max(seconds), 3) if seconds else None


def pods_in(pool: Pool) -> int:
    """How many pods a namespace has; the list is not sent."""
    found = read(f"/api/v1/namespaces/{pool.namespace}/pods?limit=1")
    return len(found["items"]) + int(found["metadata"].get("remainingItemCount", 0))


def metrics() -> str:
    """The operator's page."""
    return page(address(), OPERATORS_PORT)


def address() -> str:
    """The operator's, within the cluster."""
    [pod] = OPERATOR.pods().values()
    found: str = pod["status"]["podIP"]
    return found


def known_workers() -> int:
    """How many workers have reported, as the operator knows it."""
    found = metrics()
    return int(sum(scrape.total(found, "pynenc_operator_runner_pods", state=state) for state in ("active", "idle")))


def reads(pool: Pool) -> int:
    """How often the fleet's Redis has read from a connection: a pipeline of hundreds of apps takes it a few reads."""
    return idle.redis_stat(pool, "total_reads_processed")


def delays(before: str, after: str) -> Json:
    """How late looks began, decisions came after their news, and the event loop was: of 99 in a hundred, at most.

    Seconds, from the operator's own histograms at two times.
    """

    def late(histogram: str, **labels: str) -> float | None:
        earlier, later = (scrape.buckets(at, f"pynenc_operator_{histogram}", **labels) for at in (before, after))
        return scrape.quantile(earlier, later, 0.99)

    return {
        "tick lag p99": late("workqueue_queue_duration_seconds", cause="interval"),
        "event to decision p99": late("decision_latency_seconds", cause="event"),
        "event loop lag p99": late("event_loop_lag_seconds"),
    }


def goals(results: Results) -> list[Goal]:
    """Delays and cost while workers report, and that all runners share the reads of their Redis."""
    pods = float(results.settings.get("pods", WHOLE.all_pods))
    memory = round((150e6 + 25e3 * pods) / MIB, 1)
    decision = results.at(ALL, "event to decision p99")
    resting, reporting = (results.at(setup, "redis reads", "max") for setup in (RESTING, OURS))
    return [
        Goal("tick lag, 99th percentile", 1.0, results.at(OURS, "tick lag p99", "max"), unit="s", by=WORST),
        Goal("event to decision, 99th percentile", 0.1, decision, unit="s", by=TOGETHER),
        Goal("cores", 1.0, results.at(OURS, "cores", "max"), by=WORST),
        Goal("memory", memory, results.at(OURS, "resident", "max"), unit="MiB", by=WORST),
        Goal(f"{SOCKET_READS}, no reports", READS, resting, by=WORST),
        Goal(f"{SOCKET_READS}, one more for each report", READS + REPORTS, reporting, by=WORST),
    ]


def ratios(results: Results) -> Json:
    """KEDA's over ours, medians."""
    values = ("cores", "resident", "redis commands", "requests", SCRAPE)
    return {value: results.ratio(value, PEER, RESTING) for value in values}
