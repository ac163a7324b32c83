"""Many runners on one Redis, their workers reporting all the time: how late each is looked at, and what that costs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from redis import Redis

from benchmarks import idle, keda, kwok, ours, scrape
from benchmarks.bench import Json, Run
from benchmarks.proc import MIB
from benchmarks.reports import Reporters
from benchmarks.results import Goal, Results
from benchmarks.scaled import TUNED
from benchmarks.setups import Pools, pools
from benchmarks.spread import quantile
from tests.e2e.history import WORKERS
from tests.e2e.kubernetes import read, wait_until
from tests.e2e.observed import OPERATORS_PORT, page
from tests.e2e.pool import Pool
from tests.e2e.release import OPERATOR

WHAT = (
    "A thousand runners on one Redis with ten workers each (kwok), of which fifty a second report; looks' delay, cost."
)
OURS, RESTING, PEER = "ours, reports", "ours, no reports", TUNED.name
NODES = 10
REPORTS = 50.0  # a second
NOBODY = "nobody=watched"  # the pods' history would cost more than what is measured
MADE_WITHIN = 1500.0
LOOKS_A_PIPELINE = 10.0  # at least: one for each of the ten groups of a second would be a hundred


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
    run.results.settings |= {"nodes": NODES, "keda": keda.SETTINGS}
    run.results.remarks.append(f"{PEER} has as many ScaledObjects over Deployments without pods: it looks at none.")
    with kwok.nodes(NODES, 2 * size.all_pods // NODES), pools() as make:
        by_us(run, make, size)
    with pools() as make, keda.running() as peer:
        by_keda(run, make, peer, size)


def by_us(run: Run, make: Pools, size: Size) -> None:
    """Windows with and without reports, in turn."""
    pool = make.make("ours", NOBODY)
    strangers = pods_in(pool)
    idle.create(pool, [runner(number, size.pods) for number in range(size.runners)])
    wait_until(lambda: pods_in(pool) >= size.all_pods + strangers, f"{size.all_pods} pods are made", MADE_WITHIN)
    run.say("the pods are made")
    workers = Reporters(pool.namespace, (f"r{n}-{k}" for n in range(size.runners) for k in range(size.pods)))
    workers.report_all()
    wait_until(lambda: at_work() == size.all_pods, "the operator has seen all workers' reports", MADE_WITHIN)
    run.say("all workers have reported")
    time.sleep(idle.SETTLING)
    side = idle.Side(OURS, OPERATOR.account, (idle.operators_process(),), pool)
    during: dict[str, Callable[[float], None]] = {RESTING: time.sleep, OURS: partial(workers.report, rate=REPORTS)}
    for number in range(size.tries):
        for name, load in during.items():
            found = window(side, size.seconds, load)
            run.results.add(name, number=number, **found)
            run.say(f"{name}: {found}")
    pool.kubectl("delete", "mtr", "--all", "--wait=false")
    kwok.delete_pods(pool.namespace, WORKERS)


def window(side: idle.Side, seconds: float, load: Callable[[float], None]) -> Json:
    """What one window shows."""
    before, counts = metrics(), pipelines(side.pool)
    [(_, found)] = idle.watch((side,), seconds, load)
    after = metrics()
    looks = sum(scrape.total(at, "pynenc_operator_reconciles_total") * sign for at, sign in ((after, 1), (before, -1)))

    def late(histogram: str, cause: str) -> float | None:
        earlier, later = (scrape.buckets(at, f"pynenc_operator_{histogram}", cause=cause) for at in (before, after))
        return scrape.quantile(earlier, later, 0.99)

    return {
        **found,
        "tick lag p99": late("workqueue_queue_duration_seconds", "interval"),
        "event to decision p99": late("reconcile_latency_seconds", "event"),
        "looks a second": round(looks / seconds, 1),
        "looks a pipeline": round(looks / max(1, pipelines(side.pool) - counts), 1),
    }


def by_keda(run: Run, make: Pools, peer: keda.Keda, size: Size) -> None:
    """The same windows of the peer, which has nothing but queues to look at."""
    side = idle.their_side(make, peer, size.runners, TUNED)
    run.say(f"{size.runners} ScaledObjects are known")
    time.sleep(idle.SETTLING)
    for number in range(size.tries):
        [(_, found)] = idle.watch((side,), size.seconds)
        late = [each.value for each in scrape.samples(peer.metrics(), "keda_internal_scale_loop_latency_seconds")]
        found["tick lag p99"] = round(quantile(late, 0.99), 3) if late else None
        run.results.add(PEER, number=number, **found)
        run.say(f"{PEER}: {found}")


def runner(number: int, pods: int) -> Json:
    """A runner whose pods stay as they are."""
    body = ours.runner(f"r{number}", f"app-{number}")
    body["spec"] |= {"minReplicas": pods, "maxReplicas": pods, "idleTimeoutSeconds": 36_000}
    body["spec"] |= {"startDeadlineSeconds": 7200, "template": {"spec": kwok.PLACED}}
    return body


def pods_in(pool: Pool) -> int:
    """How many pods a namespace has; the list is not sent."""
    found = read(f"/api/v1/namespaces/{pool.namespace}/pods?limit=1")
    return len(found["items"]) + int(found["metadata"].get("remainingItemCount", 0))


def metrics() -> str:
    """The operator's page."""
    [pod] = OPERATOR.pods().values()
    return page(pod["status"]["podIP"], OPERATORS_PORT)


def at_work() -> int:
    """How many workers the operator knows to be at work."""
    return int(scrape.total(metrics(), "pynenc_operator_runner_pods", state="active"))


def pipelines(pool: Pool) -> int:
    """How many transactions the fleet's Redis has been sent."""
    with Redis.from_url(f"redis://redis.{pool.namespace}.svc:6379", socket_timeout=10) as redis:
        return int(redis.info("commandstats").get("cmdstat_exec", {"calls": 0})["calls"])


def goals(results: Results) -> list[Goal]:
    """Those of issue 7; of the tries, the median."""
    pods = float(results.settings.get("pods", WHOLE.all_pods))
    memory = round((150e6 + 25e3 * pods) / MIB, 1)
    return [
        Goal("tick lag, 99th percentile", 1.0, results.at(OURS, "tick lag p99"), unit="s"),
        Goal("event to decision, 99th percentile", 0.1, results.at(OURS, "event to decision p99"), unit="s"),
        Goal("cores", 1.0, results.at(OURS, "cores")),
        Goal("memory", memory, results.at(OURS, "resident"), unit="MiB"),
        Goal("looks a pipeline", LOOKS_A_PIPELINE, results.at(OURS, "looks a pipeline"), at_least=True),
    ]


def ratios(results: Results) -> Json:
    """KEDA's over ours, medians."""
    values = ("cores", "resident", "redis commands", "requests", "tick lag p99")
    return {value: results.ratio(value, PEER, RESTING) for value in values}
