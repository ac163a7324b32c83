"""An operator and a worker as far as Prometheus sees them: the real registries, told of a run that never ends.

    python -m tests.integration.chart.prometheus.exporter

It prints the ports of the operator's /metrics and the worker's, and serves until it is terminated.
"""

import asyncio
import time

from prometheus_client import REGISTRY, generate_latest, start_http_server

from pynenc_operator import looplag, runnermetrics
from pynenc_operator.health import HealthServer
from pynenc_operator.kube import Conflict
from pynenc_operator.metrics import OperatorMetrics
from pynenc_operator.runnertable import RunnerTable
from pynenc_worker.contract import WorkerState
from pynenc_worker.exposition import Exposition
from pynenc_worker.metrics import WorkerMetrics
from tests.integration.chart.prometheus.runners import look_at_all

LOOK_SECONDS = 0.5


def operate(metrics: OperatorMetrics) -> None:
    """What the operator counts of itself in one look."""
    metrics.reconciled(None, 0.03)
    metrics.reconciled(Conflict("changed", verb="patch", resource="pods"), 0.2)
    for verb, resource, code in (
        ("list", "pods", "200"),
        ("patch", "pods/status", "409"),
        ("get", "leases", "timeout"),
    ):
        metrics.requested(verb, resource, code, 0.02)
    for resource in ("pods", "multithreadrunners"):
        metrics.watching(resource, restarted=True)
    for result in ("Answered", "Unreachable"):
        metrics.polled("redis", result, 0.004)


def work(metrics: WorkerMetrics) -> None:
    """What a worker counts meanwhile."""
    metrics.state = WorkerState.ACTIVE
    metrics.set_slots(2, 1)
    metrics.invocations.add("success")
    metrics.waited.observe(0.3)
    metrics.ran.observe(2)
    metrics.handed_on.add("dead_runner")
    metrics.reports.add("accepted")
    metrics.broker_failed()
    metrics.went_round()


async def serve() -> None:
    """Serve both, and go on looking."""
    table, operator, worker = RunnerTable(), OperatorMetrics(REGISTRY), WorkerMetrics()
    operator.leader.set(1)
    operator.queued.set(3)

    def render() -> bytes:
        return generate_latest(REGISTRY) + runnermetrics.page(table).encode()

    health = HealthServer(render, healthy=lambda: None, ready=lambda: None)
    port = await health.start("127.0.0.1", 0)
    server, _ = start_http_server(0, "127.0.0.1", Exposition(worker).registry)
    print(port, server.server_port, flush=True)
    lag = asyncio.create_task(looplag.measure(operator.lagged))
    number = 0
    while not lag.done():
        look_at_all(table, number, time.time())
        operate(operator)
        work(worker)
        number += 1
        await asyncio.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    asyncio.run(serve())
