"""One run: load and faults by the plan on three runners, then rest, and what was seen of all of it."""

import os
import threading
import time
from contextlib import ExitStack

from redis.exceptions import RedisError

from tests.cluster.paths import ClusterPaths
from tests.soak.clock import Clock, Stopped
from tests.soak.facts import Facts, Sample
from tests.soak.faults import Faults
from tests.soak.plan import Plan
from tests.soak.platform import revive
from tests.soak.questions import ask
from tests.soak.samples import Sampler
from tests.soak.stage import NAMES, Runner, set_up

EVERY = 10.0  # seconds between samples
_BEFORE = 40.0  # seconds of rest before the load


class Run:
    """What happens from the installation to the last question; what was seen so far are its `facts`."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self.facts = Facts({}, [], [], 0.0, 0.0, [], [], [], executor=executor_threads())
        self._plan, self._clock = plan, clock

    def __call__(self) -> None:
        """Do it all, or less if the run is stopped. Leaves nothing but the operator."""
        with ExitStack() as stack:
            try:
                say("the operator is being installed")
                runners = set_up(self._plan, self._clock, stack)
                sampler = Sampler(
                    {runner.name: runner.pool.namespace for runner in runners},
                    {runner.name: runner.redis.url for runner in runners},
                    self._clock.now,
                )
                stack.callback(sampler.close)
                self._play(runners, sampler)
            except Stopped:
                self.facts.interrupted = True
        say("all is removed but the operator")

    def _play(self, runners: list[Runner], sampler: Sampler) -> None:
        faults = Faults(self._plan, runners, self._clock)
        self.facts.faults, self.facts.deaths = faults.done, faults.deaths
        try:
            self._rest_before(runners, sampler)
            self._load(runners, sampler, faults)
        finally:
            self.facts.ended = self._clock.now()
            broken = faults.deleted | {death.uid for death in faults.deaths}
            self.facts.runners = {runner.name: ask(runner, sampler, broken) for runner in runners}
            trouble = [f"{runner.name}: no calls: {runner.caller.error}" for runner in runners if runner.caller.error]
            self.facts.trouble += [*trouble, *(f"{one.kind}: {one.trouble}" for one in faults.done if one.trouble)]

    def _rest_before(self, runners: list[Runner], sampler: Sampler) -> None:
        """Each runner has once grown and shrunk; what is used then is the value at rest."""
        say("each runner grows once and comes to rest")
        for runner in runners:
            runner.caller.call(*(("short", 3.0) for _ in range(8)))
        while not all_rest(runners):
            self._clock.pause(1)
        for _ in range(int(_BEFORE / EVERY)):
            self._clock.pause(EVERY)
            self.facts.before.append(sampler.take())

    def _load(self, runners: list[Runner], sampler: Sampler, faults: Faults) -> None:
        self._clock.begin()
        threads = [threading.Thread(target=faults.run, name="faults")]
        threads += [threading.Thread(target=each.caller.run, args=(self._clock,), name=each.name) for each in runners]
        for thread in threads:
            thread.start()
        try:
            number = 0
            while self._clock.until(number * EVERY) and self._clock.now() < self._plan.ends:
                self.facts.revived += revive(ClusterPaths.current())
                sample = sampler.take()
                self.facts.samples.append(sample)
                busy = any(thread.is_alive() for thread in threads)
                if not self.facts.rested and not busy and all_rest(runners):
                    self.facts.rested = self._clock.now()
                called = sum(len(runner.caller.called) for runner in runners)
                say(progress(sample, called, faults.now or ("at rest" if self.facts.rested else "")))
                number = int(self._clock.now() / EVERY) + 1
            self.facts.interrupted = self._clock.stopped
        finally:
            self._clock.stop()
            for thread in threads:
                thread.join()


def all_rest(runners: list[Runner]) -> bool:
    """Whether all rest, as far as can be seen."""
    try:
        return all(runner.rests() for runner in runners)
    except (AssertionError, OSError, RedisError):
        return False


def executor_threads() -> int:
    """How many threads an event loop's executor may have on this machine, as the standard library says it."""
    return min(32, len(os.sched_getaffinity(0)) + 4)


def progress(sample: Sample, called: int, state: str) -> str:
    """A sample in a line."""
    at = f"{int(sample.at) // 60:3}:{int(sample.at) % 60:02}"
    pods, clients = ("/".join(str(of.get(name, "?")) for name in NAMES) for of in (sample.pods, sample.clients))
    uses = "operator: ?"
    if one := sample.operator:
        uses = (
            f"operator: {one.kilobytes / 1024:.1f} MB, {one.threads} threads, {one.to_api}+{one.others} connections, "
        )
        uses += f"{one.files} files, {len(one.series)} series"
    return f"{at}  {called} tasks, pods {pods}, to Redis {clients}; {uses}  {state}".rstrip()


def say(line: str) -> None:
    """Print a line with the time of day."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
