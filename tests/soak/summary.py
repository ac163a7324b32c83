"""The last words of a run."""

from collections import Counter
from collections.abc import Iterator

from tests.soak.facts import Facts
from tests.soak.verdict import Check, again

_WORDS = {True: "passed", False: "FAILED", None: "not judged"}


def lines(facts: Facts, checks: list[Check]) -> Iterator[str]:
    """The summary, line by line."""
    called = sum(len(runner.called) for runner in facts.runners.values())
    executions = sum(len(runner.executions) for runner in facts.runners.values())
    reasons = again(facts)
    yield f"tasks: {called}, executions: {executions}, again: {len(reasons)}"
    yield from (f"  {task} ran again: {why or 'NOBODY KNOWS WHY'}" for task, why in reasons.items())
    done = Counter(one.kind for one in facts.faults if not one.nothing)
    yield f"faults: {done.total()}"
    yield from (f"  {count:3} {kind}" for kind, count in sorted(done.items()))
    if nothing := sum(one.nothing for one in facts.faults):
        yield f"  {nothing} more found nothing to break"
    yield from (f"started again, as it had ended by itself: {one}" for one in facts.revived)
    yield "keys left in Redis:"
    keys: Counter[str] = Counter()
    for runner in facts.runners.values():
        keys += runner.keys
    yield from (f"  {count:6} {pattern}" for pattern, count in sorted(keys.items()))
    yield "checks:"
    yield from (f"  {_WORDS[check.holds]:10} {check.what}: {check.detail}" for check in checks)
