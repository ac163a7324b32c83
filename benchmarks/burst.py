"""From 0 to a thousand pods: how many are made a second, beside a bare client on the same API server."""

import asyncio
import json
import time

from benchmarks import keda, kwok, ours
from benchmarks.bench import Json, Run
from benchmarks.results import MEDIANS, WORST, Goal, Results
from benchmarks.scaled import ScaledJob
from benchmarks.setups import pools
from benchmarks.spread import interleaved
from pynenc_operator import labels
from pynenc_operator.actuator import MOST_AT_A_TIME
from pynenc_operator.clock import Clock
from pynenc_operator.kube import Kube
from pynenc_operator.kube_connection import Connection
from pynenc_operator.podspec import build_worker_pod
from tests.e2e.audit import Audit
from tests.e2e.history import WORKERS
from tests.e2e.pool import NAME, Pool

WHAT = "A thousand pods on nodes that only seem to be (kwok): creates a second, from the first to the last."
OURS, BARE, JOBS = "ours", "bare client", "keda jobs"
PODS, SHORT_PODS, NODES = 1000, 100, 10
MORE_TASKS = 1.1  # as many tasks as pods and a tenth more: what would make too many pods
WHOLE, SHORT = {OURS: 5, BARE: 5, JOBS: 2}, {OURS: 1, BARE: 1, JOBS: 1}
BARE_PODS = f"{labels.MANAGED_BY}={BARE.replace(' ', '-')}"
AFTERWARDS = 3.0  # seconds in which more pods than wanted would show
WITHIN = 400.0


def measure(run: Run) -> None:
    """The three in turn. The tasks stay in the queue, since no pod takes any."""
    run.results.unit = "pods/s"
    count = SHORT_PODS if run.short else PODS
    run.results.settings |= {"pods": count, "concurrent writes": MOST_AT_A_TIME, "nodes": NODES}
    with keda.running(), kwok.nodes(NODES, 2 * count), pools() as make:
        run.say("KEDA and kwok answer")
        mine = ours.Ours(make.make(OURS), maxReplicas=count, template={"spec": kwok.PLACED})
        jobs = ScaledJob(make.make("jobs"), JOBS, at_most=count, pod=kwok.PLACED)
        for setup in (mine, jobs):
            run.results.settings[setup.name] = setup.settings
            setup.pool.enqueue(*(("short", 0.0, f"t-{number}") for number in range(int(count * MORE_TASKS))))
        run.say("the tasks are in the queues")
        for name, number in interleaved(SHORT if run.short else WHOLE):
            if name == JOBS:
                found = by_jobs(jobs, count)
            else:
                found = by_us(mine, count) if name == OURS else by_hand(mine.pool, count)
            run.results.add(name, number=number, **found)
            run.say(f"{name}: {found}")


def by_us(setup: ours.Ours, count: int) -> Json:
    """Make the runner, until all pods are there and a moment longer."""
    audit, already = Audit(), len(setup.pool.history.all())
    setup.start()
    made = until_made(audit, setup.pool.namespace, count)
    time.sleep(AFTERWARDS)
    most = setup.pool.history.peak(since=already)
    setup.pool.kubectl("delete", "mtr", NAME)
    kwok.delete_pods(setup.pool.namespace, WORKERS)
    return {"rate": rate(made), "most pods": most, "pods": len(made)}


def by_hand(pool: Pool, count: int) -> Json:
    """The same pods by the operator's own client, as many requests at a time, and nothing else done."""
    audit = Audit()
    asyncio.run(_create(runner(pool), count))
    made = until_made(audit, pool.namespace, count)
    kwok.delete_pods(pool.namespace, BARE_PODS)
    return {"rate": rate(made), "pods": len(made)}


def by_jobs(setup: ScaledJob, count: int) -> Json:
    """Make the ScaledJob, until all its Jobs have their pod."""
    audit = Audit()
    setup.start()
    made = until_made(audit, setup.pool.namespace, count)
    found = {"rate": rate(made), "jobs a second": rate(audit.granted("create", "jobs", setup.pool.namespace))}
    setup.stop()
    return {**found, "pods": len(made)}


async def _create(of: Json, count: int) -> None:
    connection = await Connection.open(Clock(), lambda *_: None)
    try:
        kube, writes = Kube(connection), asyncio.Semaphore(MOST_AT_A_TIME)

        async def one(number: int) -> None:
            pod = build_worker_pod(of, f"bare-{number}")
            del pod["metadata"]["ownerReferences"]  # there is no such runner, and the pods would be collected
            pod["metadata"]["labels"] |= dict([BARE_PODS.split("=")])
            async with writes:
                await kube.create_pod(of["metadata"]["namespace"], pod)

        await asyncio.gather(*(one(number) for number in range(count)))
    finally:
        await connection.close()


def runner(pool: Pool) -> Json:
    """A runner that is not on the cluster, with the defaults that the API server would give it, to build pods of."""
    body = ours.runner("bare", "bare")
    body["spec"]["template"] = {"spec": {**kwok.PLACED, "serviceAccountName": "default"}}
    found: Json = json.loads(
        pool.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", input=json.dumps(body))
    )
    return found


def until_made(audit: Audit, namespace: str, count: int) -> list[float]:
    """Wait for so many pods; when each was made. A look at the log costs something, so there are few."""
    end = time.monotonic() + WITHIN
    while len(made := audit.granted("create", "pods", namespace)) < count and time.monotonic() < end:
        time.sleep(1)
    return made


def rate(moments: list[float]) -> float | None:
    """How many a second, from the first to the last."""
    return round((len(moments) - 1) / (moments[-1] - moments[0]), 2) if len(moments) > 1 else None


def goals(results: Results) -> list[Goal]:
    """Nearly as fast as the same client that decides nothing, and neither a pod too many nor one too few."""
    share = results.ratio("rate", OURS, BARE)
    over, least = results.at(OURS, "most pods", "max"), results.at(OURS, "pods", "min")
    limit = float(results.settings.get("pods", PODS))
    return [
        Goal("creates a second, share of the bare client's", 0.7, share, at_least=True, by=MEDIANS),
        Goal("pods at a time, the most", limit, over, by=WORST),
        Goal("pods made", limit, least, at_least=True, by=WORST),
    ]


def ratios(results: Results) -> Json:
    """Ours over the others', medians."""
    return {name: results.ratio("rate", OURS, name) for name in (BARE, JOBS)}
