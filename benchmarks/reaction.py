"""From a task that is enqueued to its pod: how long the first one takes, from zero."""

import random
import time
from collections.abc import Mapping

from benchmarks import keda, ours, stock
from benchmarks.bench import Json, Run
from benchmarks.results import MEDIANS, WORST, Goal, Results
from benchmarks.scaled import DEFAULT, TUNED, ScaledObject
from benchmarks.setups import Setup, pools
from benchmarks.spread import interleaved, phases
from tests.e2e.audit import Audit
from tests.e2e.history import Seen
from tests.e2e.kubernetes import wait_until

WHAT = "From zero: from the call of a task until the API server has made the first pod for it, and until it runs."
OURS = "ours"
WHOLE = {OURS: 50, TUNED.name: 20, DEFAULT.name: 10}
SHORT = {OURS: 6, TUNED.name: 3, DEFAULT.name: 1}
PERIODS = {OURS: 1.0, TUNED.name: float(TUNED.polling), DEFAULT.name: float(DEFAULT.polling)}
SETTLED = 2.0  # seconds from zero, or from a new ScaledObject, until a try may begin
TASK_SECONDS = 0.1


def measure(run: Run) -> None:
    """All tries, ours and the peers' in turn, each at another moment of its set-up's polling."""
    counts = SHORT if run.short else WHOLE
    waits = {name: phases(count, PERIODS[name], seed=7) for name, count in counts.items()}
    run.results.settings["polled every, in s"] = PERIODS
    with pools() as make, keda.running():
        run.say("KEDA answers")
        peers = [
            ScaledObject(make.make(f"keda-{number}", stock.SELECTOR), t) for number, t in enumerate((TUNED, DEFAULT))
        ]
        setups: Mapping[str, Setup] = {setup.name: setup for setup in (ours.Ours(make.make(OURS)), *peers)}
        for setup in setups.values():
            run.results.settings[setup.name] = setup.settings
            setup.start()
        order = interleaved(counts)
        for done, (name, number) in enumerate(order, 1):
            found = one_try(setups[name], waits[name][number])
            run.results.add(name, number=number, **found)
            run.say(f"{done} of {len(order)}: {name}: pod created after {found['created']:.3f} s")


def one_try(setup: Setup, wait: float) -> Json:
    """Call one task at zero pods; the seconds until its pod was there, by the API server's log and by a watch."""
    setup.restart()
    time.sleep(SETTLED + wait)
    pool, audit = setup.pool, Audit()
    done = pool.queue.succeeded()
    known, already = pool.history.uids(), len(pool.history.all())
    name = f"{setup.name}-{random.randrange(16**8):08x}"  # noqa: S311 - only to be told from others

    def is_new(seen: Seen) -> bool:
        return seen.uid not in known

    began = time.time()
    pool.enqueue(("short", TASK_SECONDS, name))
    called = time.time()
    first = pool.history.wait_for(is_new, "a pod is made", since=already)
    # A watch may tell of the pod before the log does.
    created = wait_until(lambda: audit.granted("create", "pods", pool.namespace), "the audit log tells of the pod")[0]
    pool.until_begun(name)
    started = next(float(e["started"]) for e in pool.queue.begun() if e["name"] == name)
    setup.until_done(done + 1)
    return {
        "called": round(called - began, 4),
        "created": round(created - began, 4),
        "seen": round(first.at - began, 4),
        "task started": round(started - began, 4),
    }


def goals(results: Results) -> list[Goal]:
    """Those of issue 7."""
    ratio = ratios(results)
    return [
        Goal("enqueue to pod created", 0.15, results.at(OURS, "created"), unit="s"),
        # That of the 99th percentile: of fifty tries, the worst one stands for it.
        Goal("enqueue to pod created", 0.7, results.at(OURS, "created", "max"), unit="s", by=WORST),
        Goal("times faster than KEDA at default polling", 20, ratio[DEFAULT.name], at_least=True, by=MEDIANS),
        Goal("times faster than KEDA tuned", 5, ratio[TUNED.name], at_least=True, by=MEDIANS),
    ]


def ratios(results: Results) -> Json:
    """The peers' medians over ours."""
    return {peer: results.ratio("created", peer, OURS) for peer in (TUNED.name, DEFAULT.name)}
