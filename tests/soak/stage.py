"""The operator, and three runners with a Redis each: what a run plays on, and what takes it down again."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pynenc_worker import contract
from tests.cluster.node import NODE
from tests.e2e import usercode
from tests.e2e.pool import Pool, clear
from tests.e2e.release import OPERATOR
from tests.integration.redis_server import RedisServer
from tests.soak.clock import Clock, Stopped
from tests.soak.load import TASKS, Caller
from tests.soak.plan import RUNNERS, SURGE, Plan, Spec
from tests.soak.podhistory import LongPodHistory

NAMES = tuple("abc")
# Seconds (Redis' tcp-keepalive): a pod that goes while its packets are swallowed leaves a connection that only the
# server has. By default it takes Redis ten minutes to notice, more than the rest after the load; so it takes two.
KEEPALIVE = "60"


@dataclass
class Runner:
    """One of the run's pools, with its spec and what it depends on."""

    name: str
    spec: Spec
    pool: Pool
    redis: RedisServer
    caller: Caller

    @property
    def most(self) -> int:
        """So many live pods it may have, the one more for a new template included."""
        return int(self.spec["maxReplicas"] + self.spec.get("rollout", {}).get("maxSurge", SURGE))

    @property
    def connections(self) -> int:
        """So many to its Redis may be open at rest: a client keeps those that it has needed at the same time.

        The operator counts and listens; a worker has its loop's and, for each thread, pynenc's and the task's own.
        """
        worker = 1 + 2 * self.spec.get("maxThreads", 1)
        return int(2 + self.spec.get("minReplicas", 0) * worker)

    def rests(self) -> bool:
        """Whether no task is left and its pods are as few as may be, all of them idle."""
        if self.pool.queue.succeeded() < len(self.caller.called):
            return False
        least, status = self.spec.get("minReplicas", 0), self.pool.status()
        pods = [status.get(f"{state}eplicas") for state in ("r", "idleR", "readyR")]
        states = set(self.pool.states()) - {""}  # of those that have ended before they reported
        return pods == [least] * len(pods) and contract.WorkerState.DRAINING not in states


def set_up(plan: Plan, clock: Clock, stack: ExitStack) -> list[Runner]:
    """Install the operator and make the runners; the stack takes all but the operator away."""
    OPERATOR.install()
    clear()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pynenc-soak-")))
    runners = []
    for number, (name, spec) in enumerate(zip(NAMES, RUNNERS, strict=True)):
        if clock.stopped:
            raise Stopped
        (folder / name).mkdir()
        redis = stack.enter_context(RedisServer.running(folder / name, NODE.ip, tcp_keepalive=KEEPALIVE))
        pool = Pool(name, redis.url, LongPodHistory)
        stack.callback(pool.close)
        usercode.write(pool, TASKS)
        pool.apply(**{"template": usercode.template(), **spec})
        caller = Caller(pool, [arrival for arrival in plan.arrivals if arrival.pool == number])
        runners.append(Runner(name, spec, pool, redis, caller))
    return runners
