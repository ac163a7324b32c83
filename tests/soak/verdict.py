"""What must hold of a run, judged by what was seen of it. Pure."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from tests.soak import keys
from tests.soak.facts import Death, Execution, Facts, Operators, RunnerFacts, Sample
from tests.soak.plan import MINUTE, Kind

MEMORY_GROWTH: Final = 1.10
MEMORY_FROM: Final = (5 * MINUTE, 7 * MINUTE)
_ENDS_WITHIN: Final = 60.0  # seconds: a worker whose Redis is away can't say that a task has ended
_REDIS_AWAY: Final = {Kind.REDIS_STOPPED, Kind.REDIS_BLACK_HOLE, Kind.CONNECTIONS_DROPPED}
_BEAT_SECONDS: Final = 15.0  # a beat every 10 s, and what it takes
AT_LAST: Final = 2 * MINUTE  # the end of the rest that is judged


@dataclass(frozen=True)
class Check:
    """One thing that must hold; None: it can't be judged of this run."""

    what: str
    holds: bool | None
    detail: str


def judge(facts: Facts) -> list[Check]:
    """All checks, in the order of the summary."""
    return [
        *_of_tasks(facts),
        _of_rest(facts),
        _of_operators_memory(facts),
        *_of_operators_use(facts),
        _of_series(facts),
        *_of_runners(facts),
        _of_keys(facts),
        _of_heartbeats(facts),
        Check("every fault was done and undone", not facts.trouble, "; ".join(facts.trouble) or "no trouble"),
    ]


def again(facts: Facts) -> dict[str, str]:
    """Why each task that ran more than once did so; empty where no fault has killed its worker."""
    reasons = {}
    for name, runner in facts.runners.items():
        deaths = [death for death in facts.deaths if death.runner == name]
        by_task = defaultdict(list)
        for execution in sorted(runner.executions, key=lambda execution: execution.started):
            by_task[execution.task].append(execution)
        for task, (*cut, _) in by_task.items():
            explained = all(any(_cut(one, death, runner.called[task]) for death in deaths) for one in cut)
            if cut:
                reasons[f"{name}: {task}"] = f"killed with its worker {cut[-1].pod}" if explained else ""
    return reasons


def _cut(execution: Execution, death: Death, seconds: float) -> bool:
    """Whether a task that takes so long can have been in a worker's hands when that was killed."""
    until = execution.started + seconds + _ENDS_WITHIN
    return execution.pod == death.pod and death.created <= execution.started <= death.killed <= until


def _of_tasks(facts: Facts) -> Iterable[Check]:
    called = sum(len(runner.called) for runner in facts.runners.values())
    succeeded = sum(runner.succeeded for runner in facts.runners.values())
    left = [
        f"{name}: {task} {history[-1:]}"
        for name, runner in facts.runners.items()
        for task, history in runner.histories.items()
        if history[-1:] != ["success"]
    ]
    left += [f"{name}: {runner.unknown}" for name, runner in facts.runners.items() if runner.unknown]
    done = None if facts.interrupted else succeeded == called and not left
    yield Check("every task is done", done, _told(f"{succeeded} of {called}", left))
    ran = Counter((name, one.task) for name, runner in facts.runners.items() for one in runner.executions)
    reasons = again(facts)
    odd = [task for task, why in reasons.items() if not why]
    if not facts.interrupted:
        odd += [f"{n}: {t} never" for n, runner in facts.runners.items() for t in runner.called if not ran[n, t]]
    what = "each ran once, unless a fault killed its worker"
    yield Check(what, not odd, _told(f"{sum(ran.values())} executions, {len(reasons)} of them again", odd))


def _of_rest(facts: Facts) -> Check:
    what = f"all came to rest, at least {AT_LAST / MINUTE:.0f} minutes before the end"
    if facts.interrupted:
        return Check(what, None, "interrupted")
    in_time = bool(facts.rested) and facts.ended - facts.rested >= AT_LAST
    return Check(what, in_time, f"after {facts.rested / MINUTE:.1f} minutes" if facts.rested else "never")


def _of_operators_memory(facts: Facts) -> Check:
    what = f"memory grew by {MEMORY_GROWTH - 1:.0%} at most after minute {MEMORY_FROM[0] / MINUTE:.0f}"
    early = [s.operator for s in facts.samples if s.operator and MEMORY_FROM[0] <= s.at <= MEMORY_FROM[1]]
    late = [s.operator for s in _last(facts) if s.operator]
    if not early or not late or _last(facts)[0].at < MEMORY_FROM[1]:
        return Check(what, None, "the run was too short")
    first, last = (median(one.kilobytes for one in some) for some in (early, late))
    lives = {one.process for one in (*early, *late)}
    detail = f"{first / 1024:.1f} MB, at last {last / 1024:.1f} MB, {last / first - 1:+.1%}"
    if len(lives) > 1:
        return Check(what, holds=False, detail=f"{detail}; the operator was restarted by itself after minute 5")
    return Check(what, last <= first * MEMORY_GROWTH, detail)


# Beside those of its event loop's executor, which starts one more whenever all have work, and ends none: the main one,
# kopf's and one of kopf's own executor. One more listens to each runner's Redis.
OTHER_THREADS: Final = 3
# Two watches; and the renewals of the Lease, one every 2 s, take turns with all connections that there were at a busy
# moment, and so keep as many as fit into the 15 s after which an unused one is closed.
API_CONNECTIONS: Final = 2 + 7


def _of_operators_use(facts: Facts) -> Iterable[Check]:
    before = [s.operator for s in facts.before if s.operator]
    after = [s.operator for s in _last(facts) if s.operator]

    def back(what: str, use: Callable[[Operators], int], most: int = 0) -> Check:
        return _back(f"the operator's {what}", [use(one) for one in before], [use(one) for one in after], most)

    yield back("threads", lambda one: one.threads, OTHER_THREADS + facts.executor + len(facts.runners))
    yield back("connections to the API server", lambda one: one.to_api, API_CONNECTIONS)
    yield back("other connections", lambda one: one.others)
    yield back("open files beside connections", lambda one: one.files - one.to_api - one.others)


def _back(what: str, before: Sequence[int], after: Sequence[int], most: int = 0) -> Check:
    """Whether no more is used than before; up to `most` may be used at rest at any time."""
    what = f"{what} are back at rest"
    if not before or not after:
        return Check(what, None, "not seen at rest")
    first, last = median(before), median(after)
    may = f", up to {most} may stay" if most else ""
    return Check(what, last <= max(first, most), f"{first:g} before, {last:g} after{may}")


# Labels whose values are a few words: an answer or a reason that had not come yet may come. Others' are as before.
FEW: Final = ("verb", "resource", "code", "result", "reason", "kind", "direction", "status", "type", "le")
MANY: Final = 30  # values of such a label in one metric
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def _of_series(facts: Facts) -> Check:
    what = "the series are those of the runners that there are"
    before = next((s.operator.series for s in reversed(facts.before) if s.operator and s.operator.series), None)
    rests = [s.operator.series for s in _last(facts) if s.operator and s.operator.series]
    if not before or not rests:
        return Check(what, None, "not seen at rest")
    known = {pair for series in before for pair in labels(series)}
    odd = {f"{name}={value}" for one in rests[-1] for name, value in labels(one) - known if name not in FEW}
    values = defaultdict(set)
    for one in rests[-1]:
        for name, value in labels(one):
            values[one.partition("{")[0], name].add(value)
    odd |= {
        f"{len(found)} values of {label} of {metric}" for (metric, label), found in values.items() if len(found) > MANY
    }
    odd |= {f"new at rest: {one}" for one in rests[-1] - rests[0]}
    return Check(what, not odd, _told(f"{len(before)} before, {len(rests[-1])} after", sorted(odd)))


def labels(series: str) -> set[tuple[str, str]]:
    """The labels of a series with their values."""
    return set(_LABEL.findall(series))


def _of_runners(facts: Facts) -> Iterable[Check]:
    last = _last(facts)
    uses: tuple[tuple[str, Callable[[Sample], Mapping[str, int]], Callable[[RunnerFacts], int]], ...] = (
        ("pods", lambda s: s.pods, lambda _: 0),
        ("connections to Redis", lambda s: s.clients, lambda r: r.connections),
    )
    for what, use, may_stay in uses:
        found, odd = [], []
        for name, runner in facts.runners.items():
            before, after = ([use(s)[name] for s in some if name in use(s)] for some in (facts.before, last))
            check = _back(what, before, after, may_stay(runner))
            found.append(f"{name}: {check.detail}")
            odd += [name] if check.holds is False else []
        seen = bool(last) and bool(facts.before)
        yield Check(f"the runners' {what} are back at rest", not odd if seen else None, "; ".join(found))
    over = [f"{name}: {', '.join(r.excess)}" for name, r in facts.runners.items() if r.peak > r.most]
    peaks = ", ".join(f"{name} {r.peak} of {r.most}" for name, r in facts.runners.items())
    yield Check(
        "there were never more pods than maxReplicas, and maxSurge for a new template", not over, _told(peaks, over)
    )
    cut = [f"{name}: {pod}" for name, runner in facts.runners.items() for pod in runner.interrupted]
    pods = sum(runner.pods for runner in facts.runners.values())
    yield Check("the operator deleted no busy pod", not cut, _told(f"of {pods} pods", cut))


def _of_keys(facts: Facts) -> Check:
    odd = []
    for name, runner in facts.runners.items():
        found = keys.unexpected(runner.keys, invocations=len(runner.called), workers=runner.pods + 1)
        odd += [f"{name}: {what}" for what in found]
    total = sum(runner.keys.total() for runner in facts.runners.values())
    told = _told(f"{total} keys", odd)
    return Check("Redis holds pynenc's own keys alone", None if facts.interrupted else not odd, told)


def _of_heartbeats(facts: Facts) -> Check:
    """A worker that leaves while its Redis is away can't take its heartbeat back; every other one does."""
    odd = []
    for name, runner in facts.runners.items():
        away = [fault for fault in facts.faults if fault.runner == name and fault.kind in _REDIS_AWAY]
        for uid, last in runner.left_behind.items():
            if not any(fault.begun - _BEAT_SECONDS <= last <= fault.ended for fault in away):
                odd.append(f"{name}: worker {uid}, last at {last:.0f}")
    left = sum(len(runner.left_behind) for runner in facts.runners.values())
    what = "no heartbeat is left but of workers that live, or left while their Redis was away"
    return Check(what, None if facts.interrupted else not odd, _told(f"{left} of workers that are gone", odd))


def _last(facts: Facts) -> list[Sample]:
    """The last minutes, if all rested then."""
    since = max(facts.rested, facts.ended - AT_LAST)
    return [s for s in facts.samples if facts.rested and s.at >= since]


def _told(what: str, odd: Sequence[str]) -> str:
    shown = "; ".join(odd[:10]) + (f"; and {len(odd) - 10} more" if len(odd) > 10 else "")
    return f"{what}: {shown}" if odd else what
