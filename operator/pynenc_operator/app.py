"""Puts the operator together: leads or stands by, until it is told to stop.

While this replica leads: kopf's watch, the work queue with the reconciler, a resync now and then. When
leadership ends, or any of them fails, all of it is torn down and the replica stands by again; the
process stays. SIGTERM ends the looking and leaves the pods working.
"""

import asyncio
import contextlib
import logging
import signal
import time
from functools import partial
from typing import Any, Final

from prometheus_client import REGISTRY, generate_latest

from pynenc_operator import config as settings
from pynenc_operator import labels, looplag, runnermetrics
from pynenc_operator.access import Access
from pynenc_operator.backends import Backend
from pynenc_operator.broker import BackendSource
from pynenc_operator.brokerclients import load_plugins
from pynenc_operator.clock import Clock
from pynenc_operator.config import OperatorConfig, isolate_from_environment
from pynenc_operator.credentials import Credentials
from pynenc_operator.handlers import Watch
from pynenc_operator.health import HealthServer
from pynenc_operator.kube import Kube, KubeError
from pynenc_operator.kube_connection import Connection
from pynenc_operator.leader import Leader
from pynenc_operator.metrics import OperatorMetrics
from pynenc_operator.model import Key
from pynenc_operator.podcache import PodCache, RunnerCache
from pynenc_operator.podspec import build_worker_pod
from pynenc_operator.podwatch import PodWatch
from pynenc_operator.queuedepth import QueueDepths
from pynenc_operator.reconciler import Reconciler
from pynenc_operator.resync import Resync
from pynenc_operator.runnertable import RunnerTable
from pynenc_operator.specfields import SpecInvalid
from pynenc_operator.watchtrace import WatchTrace
from pynenc_operator.workqueue import WorkQueue

type Json = dict[str, Any]

log = logging.getLogger(__name__)

# Runners looked at at a time. A look may wait: for a count to its deadline, half a second for a recount.
WORKERS: Final = 64
LISTED_SECONDS: Final = 10.0  # for which looks wait until all pods are known; then each runner's are listed
DEBOUNCE_SECONDS: Final = 0.1  # events come in bursts: the first is looked at at once, the others together
STALLED_SECONDS: Final = 60.0  # a runner that has been due so long: the loop does not get on
ELECTION_STALLED_SECONDS: Final = 30.0
STAND_BY_SECONDS: Final = 2.0  # after a failure, so that another replica may try


class App:
    """One replica of the operator."""

    def __init__(self, config: OperatorConfig, connection: Connection, metrics: OperatorMetrics, clock: Clock) -> None:
        self._config = config
        self._connection = connection
        self._metrics = metrics
        self._clock = clock
        self._leader = Leader(
            Kube(connection), config.lease_namespace, config.lease_name, config.identity, now=clock.now
        )
        self._queue: WorkQueue[Key] | None = None  # while leading
        self._table = RunnerTable()
        metrics.queued.set_function(lambda: queue.depth if (queue := self._queue) else 0)

    async def run(self) -> None:
        """Lead whenever this replica may, until cancelled."""
        election = asyncio.create_task(self._leader.run())
        try:
            while True:
                await self._leader.acquired()
                self._metrics.leader.set(1)
                try:
                    await self._lead_until_lost()
                finally:
                    self._metrics.leader.set(0)
                    self._queue, self._table = None, RunnerTable()
                await self._leader.release(STAND_BY_SECONDS)
        finally:
            election.cancel()
            await asyncio.gather(election, return_exceptions=True)
            await self._leader.release()

    def rendered_metrics(self) -> bytes:
        """All metrics, in Prometheus' text format; from any thread."""
        return generate_latest(self._metrics.registry) + runnermetrics.page(self._table).encode()

    def unhealthy(self) -> str | None:
        """What does not get on here, for /healthz."""
        silent = time.monotonic() - self._leader.last_attempt
        if silent > ELECTION_STALLED_SECONDS:
            return f"the leader election has not moved for {silent:.0f} s"
        if self._queue and self._queue.overdue > STALLED_SECONDS:
            return f"a runner has been due for {self._queue.overdue:.0f} s"
        return None

    def not_ready(self) -> str | None:
        """Why this replica can neither lead nor stand by, for /readyz."""
        return None if self._leader.last_answer else "the API server has not answered about the Lease yet"

    async def _lead_until_lost(self) -> None:
        lost = asyncio.create_task(self._leader.lost())
        leading = asyncio.create_task(self._lead())
        try:
            await asyncio.wait({lost, leading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (lost, leading):
                task.cancel()
            results = await asyncio.gather(lost, leading, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                log.error("leading has failed: %s", _flat(result))

    async def _lead(self) -> None:
        kube = Kube(self._connection, may_write=lambda: self._leader.is_leader)
        loop = asyncio.get_running_loop()

        def wake(backend: Backend) -> None:
            for key in depths.counting(backend):
                queue.add_soon(key, DEBOUNCE_SECONDS)

        def arrived(backend: Backend) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(wake, backend)

        source = BackendSource(
            allow_local=self._config.allow_local_backends, on_poll=self._metrics.polled, on_arrival=arrived
        )
        depths = QueueDepths(source, Credentials(kube, sqlite_dir=self._config.sqlite_dir), self._clock.now)
        pods, runners = PodCache(), RunnerCache()

        async def look(key: Key) -> float | None:
            began = time.monotonic()
            try:
                pause = await reconciler.reconcile(key)
            except Exception as error:
                self._metrics.reconciled(error, time.monotonic() - began)
                raise
            self._metrics.reconciled(None, time.monotonic() - began)
            return pause

        queue = self._queue = WorkQueue(
            look,
            workers=WORKERS,
            expected=(KubeError, SpecInvalid),
            on_begin=self._metrics.begun,
            on_decision=self._metrics.decided,
        )
        reconciler = Reconciler(
            kube=kube,
            depths=depths,
            access=Access(kube, self._config.worker_cluster_role),
            build_pod=partial(build_worker_pod, relaxed_x509=self._config.relaxed_x509),
            pods=pods,
            runners=runners,
            now=self._clock.now,
            resync_seconds=settings.RESYNC_SECONDS,
            instance=self._config.identity,
            on_decision=queue.decided,
            aside=queue.aside,
        )
        namespaces = self._config.watch_namespaces
        resync = Resync(kube, namespaces, runners, queue)
        self._table = reconciler.table

        def runner_changed(event: Json) -> None:
            if key := runners.apply_event(event):
                queue.add(key)

        watch = Watch(
            login=self._connection.login,
            on_runner=runner_changed,
            namespaces=namespaces,
            relaxed_x509=self._config.relaxed_x509,
            trace=WatchTrace(
                self._metrics.requested,
                self._metrics.watching,
                on_gap=partial(loop.call_soon_threadsafe, resync.gap.set),
            ),
        )
        soon = partial(queue.add_soon, apart=DEBOUNCE_SECONDS)
        pod_watch = PodWatch(
            self._connection, namespaces, pods, self._clock.now, soon, self._metrics.watching, resync.list
        )
        await self._definition_served(kube)
        with contextlib.closing(source):
            async with asyncio.TaskGroup() as group:
                group.create_task(pod_watch.run())
                await pod_watch.listed(LISTED_SECONDS)
                group.create_task(watch.run())
                group.create_task(queue.run())
                group.create_task(resync.run())

    async def _definition_served(self, kube: Kube) -> None:
        """Wait until the resource is served: kopf looks for it once, at its start."""
        told = False
        while labels.PLURAL not in await kube.served(labels.GROUP, labels.VERSION):
            if not told:
                log.warning(
                    "the API server knows no MultiThreadRunner: install the CRD (crds.enabled=true in the chart)"
                )
                told = True
            await asyncio.sleep(STAND_BY_SECONDS)


def _flat(error: BaseException) -> str:
    """An exception, or those of a group, in one line."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_flat(inner) for inner in error.exceptions)
    return f"{type(error).__name__}: {error}"


async def run(config: OperatorConfig) -> None:
    """Run the operator until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    isolate_from_environment()
    load_plugins()
    clock = Clock()
    metrics = OperatorMetrics(REGISTRY)
    connection = await Connection.open(clock, metrics.requested, relaxed_x509=config.relaxed_x509)
    app = App(config, connection, metrics, clock)
    health = HealthServer(app.rendered_metrics, healthy=app.unhealthy, ready=app.not_ready)
    port = await health.start(config.address, config.port)
    log.info("started as %s, metrics on port %d", config.identity, port)
    running = asyncio.create_task(app.run())
    lagging = asyncio.create_task(looplag.measure(metrics.lagged))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        log.info("stopping; worker pods go on")
        for task in (running, stopping, lagging):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await health.stop()
        await connection.close()
