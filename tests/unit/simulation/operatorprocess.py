"""One process of the operator in the simulation: the real queue and reconciler behind a slow watch."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from pynenc_operator.access import Access
from pynenc_operator.app import DEBOUNCE_SECONDS
from pynenc_operator.credentials import Credentials
from pynenc_operator.kube_errors import KubeError
from pynenc_operator.model import Key
from pynenc_operator.podcache import PodCache, RunnerCache
from pynenc_operator.podspec import build_worker_pod
from pynenc_operator.queuedepth import QueueDepths
from pynenc_operator.reconciler import Reconciler
from pynenc_operator.workqueue import WorkQueue
from tests.unit.simulation.apiserver import ApiServer
from tests.unit.simulation.backendsource import SimulatedSource
from tests.unit.simulation.run import Lane, Run
from tests.unit.simulation.scenario import Scenario
from tests.unit.simulation.taskqueue import Broker
from tests.unit.simulation.wire import SimulatedKube

type Json = dict[str, Any]

RESYNC_SECONDS: Final = 300.0


class _NoAccess(Access):
    """The rights of workers, which nothing hangs on here."""

    def __init__(self) -> None:
        pass

    async def ensure(self, key: Key, runner: Json) -> None:
        pass


class OperatorProcess:
    """Knows nothing when it begins; what it has begun when it is killed goes on without it."""

    def __init__(self, run: Run, server: ApiServer, broker: Broker, scenario: Scenario, who: str) -> None:
        meta = server.runner["metadata"]
        self.who = who
        self._run = run
        self._server = server
        self._stalls = scenario.watch_stalls
        self._key = Key(meta["namespace"], meta["name"])
        self._pods = PodCache()
        self._runners = RunnerCache()
        self._events = Lane(run)
        kube = SimulatedKube(run, server, who, scenario.lost_requests)
        reconciler = Reconciler(
            kube=kube,
            depths=QueueDepths(SimulatedSource(run, broker, self._arrived), Credentials(kube, sqlite_dir="/"), run.now),
            access=_NoAccess(),
            build_pod=build_worker_pod,
            pods=self._pods,
            runners=self._runners,
            now=run.now,
            resync_seconds=RESYNC_SECONDS,
            instance=who,
        )
        self._reconciler = reconciler
        self._queue = WorkQueue(self._look, workers=1, expected=KubeError, monotonic=run.now)
        run.note(who, "begins")
        server.pod_watchers.append(self._watch_pod)
        server.runner_watchers.append(self._watch_runner)
        self._watch_runner("ADDED", server.runner)
        for pod in server.pods.values():
            self._watch_pod("ADDED", pod)
        self._deliver(self._all_known, {})
        self._task = asyncio.get_running_loop().create_task(self._queue.run())

    def kill(self) -> None:
        self._run.note(self.who, "is killed")
        self._server.pod_watchers.remove(self._watch_pod)
        self._server.runner_watchers.remove(self._watch_runner)
        self._task.cancel()

    async def _look(self, key: Key) -> float | None:
        """Reconcile; what is not the outside's fault ends the run instead of being tried again."""
        try:
            return await self._reconciler.reconcile(key)
        except KubeError:
            raise
        except Exception as bug:
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": f"{self.who} failed", "exception": bug})
            raise

    def _arrived(self) -> None:
        if not self._task.done():
            self._queue.add_soon(self._key, DEBOUNCE_SECONDS)

    def _watch_pod(self, kind: str, body: Json) -> None:
        self._deliver(self._pod_event, {"type": kind, "object": body})

    def _watch_runner(self, kind: str, body: Json) -> None:
        self._deliver(self._runner_event, {"type": kind, "object": body})

    def _deliver(self, take: Callable[[Json], None], event: Json) -> None:
        """In order and late; what comes in a stall comes at its end."""
        due = self._run.time + self._run.draw(self._run.timing.watch)
        self._events.at(max([due, *(end for begin, end in self._stalls if begin <= due < end)]), take, event)

    def _pod_event(self, event: Json) -> None:
        if not self._task.done() and self._pods.apply_event(event, self._run.now()):
            self._queue.add_soon(self._key, DEBOUNCE_SECONDS)

    def _all_known(self, _: Json) -> None:
        self._pods.retain(None, {}, set())

    def _runner_event(self, event: Json) -> None:
        if not self._task.done() and (key := self._runners.apply_event(event)):
            self._queue.add(key)
