"""What is asked of each runner at the end: what became of its tasks and pods, and what is left in its Redis."""

import subprocess

from redis.exceptions import RedisError

from tests.e2e.history import Seen, crowds
from tests.e2e.kubernetes import Json
from tests.soak.facts import Execution, RunnerFacts
from tests.soak.samples import Sampler
from tests.soak.stage import Runner

_TROUBLE = (AssertionError, OSError, RedisError, subprocess.SubprocessError)


def ask(runner: Runner, sampler: Sampler, broken: set[str]) -> RunnerFacts:
    """All that came of a runner; `broken`: the uids of pods that faults have killed or deleted."""
    facts = RunnerFacts(runner.most, runner.connections, called=dict(runner.caller.called))
    try:
        history, queue = runner.pool.history, runner.pool.queue
        facts.peak, facts.pods = history.peak(), len(history.uids())
        facts.interrupted = [str(seen) for seen in history.interruptions() if seen.uid not in broken]
        facts.excess = excess(history.all(), runner.most)
        facts.succeeded = queue.succeeded()
        facts.executions = executions(queue.begun())
        facts.keys = sampler.keys(runner.name)
        latest = {seen.uid: seen for seen in history.all()}
        living = {uid for uid, seen in latest.items() if seen.live}
        beats = sampler.heartbeats(runner.name)
        facts.left_behind = {uid: beat for uid, beat in beats.items() if uid not in living}
        facts.histories = queue.histories()
    except _TROUBLE as error:
        facts.unknown = f"{type(error).__name__}: {error}"
    return facts


def excess(history: list[Seen], most: int) -> list[str]:
    """The live pods at the first moment at which there were more than `most`."""
    return next(([str(one) for one in live] for live in crowds(history) if len(live) > most), [])


def executions(begun: list[Json]) -> list[Execution]:
    """Each execution once: a record may be written twice where the answer to the first one was lost."""
    found = {(one["name"], one["pod"], float(one["started"])) for one in begun}
    return [Execution(*each) for each in sorted(found, key=lambda each: each[2])]
