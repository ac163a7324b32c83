"""A whole simulated run: cluster, queue, workers and operators, from the first task to a pool at rest."""

import asyncio
import logging
import random
from collections import Counter
from typing import Any, Final

from pynenc_operator.failures import RETRY_SECONDS, YOUNG_SECONDS
from pynenc_operator.podspec import template_hash
from pynenc_operator.resource import parse_pod
from pynenc_worker.contract import WorkerState
from tests.unit.operator import resources, virtual_time
from tests.unit.simulation.apiserver import ApiServer
from tests.unit.simulation.audit import USER, Audit, cap_of
from tests.unit.simulation.kubelet import Kubelet
from tests.unit.simulation.operatorprocess import OperatorProcess
from tests.unit.simulation.run import Run, ViolationError
from tests.unit.simulation.scenario import Outcome, Scenario
from tests.unit.simulation.taskqueue import Broker
from tests.unit.simulation.worker import AFTER_THREAD

type Json = dict[str, Any]

# The longest that an operator may need beyond what the work itself takes.
SLACK_SECONDS: Final = 60.0
RECOVERY_SECONDS: Final = 100.0  # until a dead runner is answered, and that is written down
VANISHED_SECONDS: Final = 180.0  # until a runner without a pod is known to be dead
SETTLING_SECONDS: Final = 13.5  # the last statuses, a queue depth among them, go out
REST_SECONDS: Final = 7.0
RETURNS: Final = 2
LONG_REST_SECONDS: Final = 60.0
SHOWN: Final = 40


class World:
    """One scenario with one seed."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        random.seed(seed)  # the operator's own jitter
        self.run = Run(seed, scenario.timing)
        self.scenario = scenario
        self.server = ApiServer(self.run, resources.runner(**scenario.spec))
        redis = "redis" in self.server.runner["spec"]["backend"]
        self.broker = Broker(self.run, shows_entries=redis, tells=redis and scenario.tells)
        self.kubelet = Kubelet(self.run, self.server, self.broker, scenario)
        self.audit = Audit(self.run, self.server, self.kubelet, scenario)
        self._operators = [self._operator("operator-0")]
        self._begun = 1
        self._plan()

    async def live(self) -> Outcome:
        """Live through the scenario, then come to rest; a ViolationError says what does not hold."""
        await self._until(self.scenario.calm)
        await self._all_done()
        await self._back_at_the_floor()
        await self._at_rest()
        for operator in self._operators:
            operator.kill()
        return self._sum_up()

    def _plan(self) -> None:
        story, run = self.scenario, self.run
        for at, seconds in story.arrivals:
            run.at(at, self.broker.enqueue, seconds)
        for at, changes in story.spec_changes:
            run.at(at, self.server.change_spec, changes)
        for at, name in story.kills:
            run.at(at, self.kubelet.kill, name)
        for at, name in story.hangs:
            run.at(at, self.kubelet.hang, name)
        for at in story.user_deletes:
            run.at(at, self._user_deletes)
        for begin, end in story.broker_outages:
            run.at(begin, self._lose_broker)
            run.at(end, self._restore_broker)
        for begin, end in story.restarts:
            run.at(begin, self._kill_operator)
            run.at(end, self._begin_operator)
        for begin, end in story.second_leaders:
            run.at(begin, self._begin_operator)
            run.at(end, self._kill_operator)

    def _user_deletes(self) -> None:
        if self.server.pods:
            name = self.run.rng.choice(sorted(self.server.pods))
            self.server.delete_pod(name, "", "", USER)

    def _lose_broker(self) -> None:
        self.run.note("broker", "goes down")
        self.broker.goes_down()

    def _restore_broker(self) -> None:
        self.run.note("broker", "is back")
        self.broker.down = False
        self.run.after(self.run.timing.rejoin, self.broker.wake)

    def _operator(self, who: str) -> OperatorProcess:
        return OperatorProcess(self.run, self.server, self.broker, self.scenario, who)

    def _begin_operator(self) -> None:
        self._operators.append(self._operator(f"operator-{self._begun}"))
        self._begun += 1

    def _kill_operator(self) -> None:
        """The eldest goes; with two leaders the younger one stays, as after a Lease has moved."""
        if self._operators:
            self._operators.pop(0).kill()

    # What must hold in the end.

    async def _until(self, time: float) -> None:
        await asyncio.sleep(max(0.0, time - self.run.time))

    async def _all_done(self) -> None:
        limit = self.run.time + self._longest_work()
        while self.broker.undone:
            if self.run.time > limit:
                left = [one.number for one in self.broker.all if not one.done]
                raise ViolationError(f"not done {limit - self.scenario.calm:.0f} s after all was calm: {left[:20]}")
            await asyncio.sleep(0.5)
        self.audit.outcome.done_at = self.run.time
        for one in self.broker.all:
            if not 1 <= one.executions <= 1 + one.handed_back:
                raise ViolationError(f"task {one.number} has run {one.executions} times")
        if self.broker.lost and not self.kubelet.deaths:
            raise ViolationError("tasks were lost though no worker has died")

    def _longest_work(self) -> float:
        """How long what is undone may take: all of the work at the maximum, and what delays it."""
        timing, spec = self.scenario.timing, self.server.runner["spec"]
        overhead = timing.hold[1] + timing.pickup[1] + AFTER_THREAD[1]
        undone = [one.seconds + overhead for one in self.broker.all if not one.done]
        threads: int = max(1, cap_of(self.server.runner)) * spec["maxThreads"]
        return sum(undone) / threads + max(undone, default=0.0) + self._longest_delay()

    def _longest_delay(self) -> float:
        """Starts, five one after another in a rollout; what bad fates cost: a deadline, and pauses after failures."""
        timing, fates = self.scenario.timing, self.scenario.fates
        starts = 2 + 5 * any("image" in changes for _, changes in self.scenario.spec_changes)
        delay = SLACK_SECONDS + starts * (timing.start[1] + timing.load[1])
        if self.scenario.lost_requests:
            delay *= 2
        if fates.never_bound or fates.never_starts or fates.never_reports or fates.crashes:
            delay += float(self.server.runner["spec"].get("startDeadlineSeconds", 300.0)) + sum(RETRY_SECONDS)
        if self.kubelet.deaths or self.audit.outcome.named:
            delay += VANISHED_SECONDS + RECOVERY_SECONDS
        return delay

    async def _back_at_the_floor(self) -> None:
        spec = self.server.runner["spec"]
        begun = self.run.time
        revision = -1
        while self.server.revision == revision or not self._at_the_floor():
            revision = self.server.revision
            if self.run.time > begun + spec["idleTimeoutSeconds"] + self._longest_delay():
                raise ViolationError(f"no pool of {_floor(spec)} idle pods in the end: {sorted(self.server.pods)}")
            await asyncio.sleep(0.5)
        self.audit.outcome.at_floor_at = self.run.time

    def _at_the_floor(self) -> bool:
        """As many idle pods of the present template as the floor is; of others, only what is kept for its logs.

        A dead worker that is still to be recovered from will have one made, or holds one. And what the operator has
        not seen yet of the spec, it does not keep to.
        """
        runner = self.server.runner
        floor = _floor(runner["spec"])
        seen = runner.get("status", {}).get("observedGeneration")
        if len(self.server.pods) < floor or seen != runner["metadata"]["generation"]:
            return False
        views = [parse_pod(pod) for pod in self.server.pods.values()]
        if any(view.died and not view.recovered_by for view in views):
            return False
        left = [view for view in views if not view.ended or view.terminating]
        wanted = template_hash(runner["spec"])
        return len(left) == floor and all(
            not view.terminating
            and view.ready
            and view.template_hash == wanted
            and view.status
            and view.status.state is WorkerState.IDLE
            for view in left
        )

    async def _at_rest(self) -> None:
        """Nothing is written any more, soon after the pool has come back to its floor."""
        # What was decided before the trouble's end may still be on its way, and lead away once more.
        returns, begun = 0 if self.scenario.troubled else RETURNS, self.run.time
        while (written := await self._written_in(REST_SECONDS)) or not self._at_the_floor():
            if not self._at_the_floor() and returns < RETURNS:
                returns += 1
                await self._back_at_the_floor()
                begun = self.run.time
            if self.run.time - REST_SECONDS > begun + self._longest_settling(begun):
                raise ViolationError(f"written at rest: {dict(written)}" if written else self._not_lasted())
        if self.scenario.long_rest:
            # A queue depth alone waits for so long; failures until a pod that lives for so long clears them.
            failures = "failures" in self.server.runner.get("status", {})
            await asyncio.sleep(SETTLING_SECONDS + YOUNG_SECONDS * failures)
            if written := await self._written_in(LONG_REST_SECONDS):
                raise ViolationError(f"written at rest: {dict(written)}")
        if not self._at_the_floor():
            raise ViolationError(self._not_lasted())

    def _longest_settling(self, begun: float) -> float:
        """How long the last statuses may take; for a worker that has just died, what its recovery takes in another."""
        longest = SETTLING_SECONDS
        if self.scenario.lost_requests:
            longest += SLACK_SECONDS  # a status that could not be written waits
        if self.audit.outcome.named:
            longest += RECOVERY_SECONDS
        if self.kubelet.last_death > begun - VANISHED_SECONDS - RECOVERY_SECONDS:
            longest += self._longest_delay()
        if "failures" in self.server.runner.get("status", {}):
            longest += YOUNG_SECONDS  # until a pod that lives for so long clears them
        return longest

    def _not_lasted(self) -> str:
        return f"the pool of idle pods has not lasted: {sorted(self.server.pods)}"

    async def _written_in(self, seconds: float) -> Counter[tuple[str, str]]:
        before = self.server.writes.copy()
        await asyncio.sleep(seconds)
        return self.server.writes - before

    def _sum_up(self) -> Outcome:
        outcome = self.audit.outcome
        outcome.deaths = self.kubelet.deaths
        outcome.worked = sum(bool(self.kubelet.executed(uid)) for uid in self.kubelet.pods)
        outcome.executions = [one.executions for one in self.broker.all]
        outcome.waits = [one.first_start - one.enqueued for one in self.broker.all if one.first_start is not None]
        for (who, what), count in self.server.writes.items():
            outcome.writes[what if who.startswith("operator") else f"worker {what}"] += count
        return outcome


def _floor(spec: Json) -> int:
    if "replicas" in spec:
        pin: int = spec["replicas"]
        return pin
    floor: int = spec["maxReplicas"] if spec["enforceMaxReplicas"] else spec["minReplicas"]
    return floor


def simulate(scenario: Scenario, seed: int = 1, *, shown: int = SHOWN) -> Outcome:
    """Run a scenario in virtual time; a ViolationError carries the `shown` last lines of the story."""
    world: World | None = None

    async def main() -> Outcome:
        nonlocal world
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[Outcome] = loop.create_future()

        def fail(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            if not failed.done():
                failed.set_exception(context.get("exception") or ViolationError(context["message"]))

        loop.set_exception_handler(fail)
        world = World(scenario, seed)
        life = loop.create_task(world.live())
        await asyncio.wait({life, failed}, return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            life.cancel()
            return failed.result()
        return life.result()

    logging.disable(logging.WARNING)  # an operator's log would be most of a run
    try:
        return virtual_time.run(main())
    except ViolationError as violation:
        raise type(violation)(f"{violation}\n{world.run.timeline(shown) if world else ''}") from None
    finally:
        logging.disable(logging.NOTSET)
