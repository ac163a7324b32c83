"""The faults: each is done to a runner, or to all of them, and undone, within a bounded time."""

import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from redis import Redis

from pynenc_worker import contract
from tests.cluster import interruption
from tests.cluster.paths import ClusterPaths
from tests.e2e import processes
from tests.e2e.faults.test_redis import swallowed
from tests.e2e.pool import NAME, Pool
from tests.e2e.release import OPERATOR
from tests.e2e.test_dying import evict
from tests.soak.clock import Clock
from tests.soak.facts import Death, Done
from tests.soak.plan import Fault, Kind, Plan
from tests.soak.stage import Runner

_FINDS_WITHIN = 20.0  # seconds, a pod to break
_WORKER = "pynenc_worker"


class NothingToBreak(Exception):  # noqa: N818 - no error
    """There is no such pod at the moment."""


class Faults:
    """Does what is planned, one after the other, and keeps what was done."""

    def __init__(self, plan: Plan, runners: list[Runner], clock: Clock) -> None:
        self.done: list[Done] = []
        self.deaths: list[Death] = []
        self.deleted: set[str] = set()  # uids of pods that were evicted or deleted here
        self.now = ""  # what is broken at the moment
        self._plan, self._runners, self._clock = plan, runners, clock
        self._dice = random.Random(f"{plan.seed} victims")  # noqa: S311
        self._ways: dict[Kind, Callable[[Runner, float], None]] = {
            Kind.REDIS_STOPPED: self._stop_redis,
            Kind.REDIS_BLACK_HOLE: self._swallow,
            Kind.CONNECTIONS_DROPPED: self._drop_connections,
            Kind.API_SERVER_KILLED: self._kill_api_server,
            Kind.OPERATOR_KILLED: lambda _runner, _seconds: OPERATOR.signal(signal.SIGKILL),
            Kind.WORKER_KILLED: self._kill_worker,
            Kind.POD_EVICTED: self._evict,
            Kind.POD_DELETED: self._delete_pod,
            Kind.IMAGE_BROKEN: lambda runner, seconds: self._break(runner, seconds, image="localhost/no-such-image:1"),
            Kind.MODULE_BROKEN: lambda runner, seconds: self._break(runner, seconds, app="reports.no_such_module"),
        }

    def run(self) -> None:
        """Do all of them until none is left or the run is stopped."""
        for fault in self._plan.faults:
            if not self._clock.until(fault.at) or self._clock.now() > self._plan.loaded:
                return
            self.done.append(self._do(fault))

    def _do(self, fault: Fault) -> Done:
        runner = self._runners[fault.pool]
        begun = time.time()
        self.now = f"{fault.kind} ({runner.name})"
        trouble = ""
        nothing = False
        try:
            self._ways[fault.kind](runner, fault.seconds)
        except NothingToBreak:
            nothing = True
        except Exception as error:  # noqa: BLE001 - it is told, and fails the run
            trouble = f"{type(error).__name__}: {error}"
        finally:
            self.now = ""
        return Done(fault.kind, runner.name, begun, time.time(), nothing=nothing, trouble=trouble)

    def _stop_redis(self, runner: Runner, seconds: float) -> None:
        with runner.caller.may_call:
            runner.redis.stop()
            self._last(seconds)
            runner.redis.start()

    def _swallow(self, runner: Runner, seconds: float) -> None:
        with runner.caller.may_call, swallowed(runner.redis.port):
            self._last(seconds)

    def _drop_connections(self, runner: Runner, _seconds: float) -> None:
        with runner.caller.may_call, Redis.from_url(runner.redis.url, socket_timeout=5) as administrator:
            administrator.client_kill_filter(_type="normal", skipme=True)

    def _kill_api_server(self, _runner: Runner, seconds: float) -> None:
        paths = ClusterPaths.current()
        interruption.kill(paths, interruption.API_SERVER)
        self._last(seconds)
        interruption.start(paths, interruption.API_SERVER)

    def _kill_worker(self, runner: Runner, _seconds: float) -> None:
        of, meta = self._victim(runner, contract.WorkerState.ACTIVE)
        processes.send(meta["uid"], _WORKER, signal.SIGKILL)
        made = datetime.fromisoformat(meta["creationTimestamp"]).timestamp()
        self.deaths.append(Death(of.name, meta["name"], meta["uid"], made, time.time()))

    def _evict(self, runner: Runner, _seconds: float) -> None:
        of, meta = self._victim(runner)
        self.deleted.add(meta["uid"])
        evict(of.pool, meta["name"])

    def _delete_pod(self, runner: Runner, _seconds: float) -> None:
        of, meta = self._victim(runner)
        self.deleted.add(meta["uid"])
        of.pool.kubectl("delete", "pod", meta["name"], "--wait=false")

    def _break(self, runner: Runner, seconds: float, **spec: str) -> None:
        with changed(runner.pool, **spec):
            self._last(seconds)

    def _last(self, seconds: float) -> None:
        """Let a fault last; shorter if the run is stopped."""
        self._clock.until(self._clock.now() + seconds)

    def _victim(self, runner: Runner, *states: str) -> tuple[Runner, dict[str, str]]:
        """The metadata of a pod in one of these states, or serving in any; of another runner if this has no such."""
        wanted = states or (contract.WorkerState.IDLE, contract.WorkerState.ACTIVE)
        deadline = time.monotonic() + _FINDS_WITHIN
        while True:
            for one in (runner, *self._runners):
                metas = [pod["metadata"] for pod in one.pool.pods().values() if pod["status"].get("phase") == "Running"]
                if found := [m for m in metas if m.get("annotations", {}).get(contract.WORKER_STATE) in wanted]:
                    return one, self._dice.choice(found)
            if time.monotonic() > deadline or self._clock.stopped:
                raise NothingToBreak
            time.sleep(0.5)


@contextmanager
def changed(pool: Pool, **spec: str) -> Iterator[None]:
    """Some fields of a runner's spec are others for a while."""
    before = json.loads(pool.kubectl("get", "mtr", NAME, "-o", "json"))["spec"]
    pool.change(**spec)
    try:
        yield
    finally:
        pool.change(**{name: before[name] for name in spec})
