"""What a pod costs the API server from its creation to its end: requests that write, by who makes them."""

from collections import Counter

from benchmarks import keda, ours, stock
from benchmarks.bench import Json, Run
from benchmarks.results import Goal, Results
from benchmarks.scaled import TUNED, ScaledObject
from benchmarks.setups import Setup, pools
from tests.e2e.audit import READS, Audit
from tests.e2e.release import OPERATOR

WHAT = (
    "Requests that write, from a pod's creation until it is gone: the operator's and the worker's, all pods of a burst."
)
OURS = "ours"
WHOLE = (1, 1, 1, 1, 1, 10)  # pods of each try
SHORT = (1,)
SPELLS = 3  # busy spells of a pod that works more than once
RESTS = 20  # seconds that it may be idle: to see that a task is done takes some of them
TASK_SECONDS = 4.0
APART = ("events", "multithreadrunners/status", "scaledobjects/status")  # counted apart


def measure(run: Run) -> None:
    """Bursts of one task a pod, and one pod that works several times; ours, then the peer, in turn."""
    run.results.unit = "requests"
    with pools() as make, keda.running():
        run.say("KEDA answers")
        peer = ScaledObject(make.make("keda", stock.SELECTOR), TUNED)
        setups: tuple[Setup, ...] = (ours.Ours(make.make(OURS)), peer)
        for setup in setups:
            run.results.settings[setup.name] = setup.settings
            setup.start()
        for number, pods in enumerate(SHORT if run.short else WHOLE):
            for setup in setups:
                found = burst(setup, pods, f"{number}")
                run.results.add(setup.name, number=number, spells=1, **found)
                run.say(f"{setup.name}, {pods} pods: {found}")
        patient = ours.Ours(make.make("spells"), OURS, idleTimeoutSeconds=RESTS)
        patient.start()
        found = spells(patient)
        run.results.add(f"{OURS}, {SPELLS} spells", number=0, spells=SPELLS, **found)
        run.say(f"{OURS}, {SPELLS} busy spells of a pod: {found}")


def burst(setup: Setup, pods: int, name: str) -> Json:
    """As many tasks as pods are wanted, from zero to zero."""
    setup.until_zero()
    audit, known = Audit(), setup.pool.history.uids()
    done = setup.pool.queue.succeeded()
    setup.pool.enqueue(*(("long", TASK_SECONDS, f"{name}-{number}") for number in range(pods)))
    setup.until_done(done + pods)
    setup.until_zero()
    return counts(setup, audit, len(setup.pool.history.uids() - known))


def spells(setup: Setup) -> Json:
    """One pod that gets its next task when it has rested for a moment."""
    setup.until_zero()
    audit, known = Audit(), setup.pool.history.uids()
    for number in range(SPELLS):
        setup.pool.enqueue(("short", 1.0, f"spell-{number}"))
        setup.pool.until_succeeded()
        if number < SPELLS - 1:
            setup.pool.until_states("idle")
    setup.until_zero()
    return counts(setup, audit, len(setup.pool.history.uids() - known))


def counts(setup: Setup, audit: Audit, pods: int) -> Json:
    """Writes by pod: of who scales, of the workers, and of the cluster's own controllers; events and status apart."""
    namespace = setup.pool.namespace
    scaler = OPERATOR.account if setup.name.startswith(OURS) else keda.USER
    of_scaler = writes(audit.of(scaler, namespace))
    of_workers = writes(audit.of(f"system:serviceaccount:{namespace}:", namespace))
    of_all = writes(audit.of("", namespace))
    apart = sum(n for (_, what), n in of_scaler.items() if what in APART)
    return {
        "pods": pods,
        "scaler": round((sum(of_scaler.values()) - apart) / pods, 2),
        "worker": round(sum(of_workers.values()) / pods, 2),
        "events and status": round(apart / pods, 2),
        "everyone": round(sum(of_all.values()) / pods, 2),
        "by": {f"{verb} {what}": n for (verb, what), n in sorted(of_scaler.items())},
    }


def writes(requests: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """Those that write; the dry run by which a template is tried is none."""
    return Counter({key: n for key, n in requests.items() if key[0] not in READS and "dry run" not in key[0]})


def goals(results: Results) -> list[Goal]:
    """Those of issue 7: medians of all tries."""
    further = results.at(f"{OURS}, {SPELLS} spells", "worker", "max"), results.at(OURS, "worker", "max")
    each = (further[0] - further[1]) / (SPELLS - 1) if further[0] is not None and further[1] is not None else None
    return [
        Goal("writes of the operator for each pod that works once, at most", 3, results.at(OURS, "scaler", "max")),
        Goal("writes of a worker that works once, at most", 4, results.at(OURS, "worker", "max")),
        Goal("writes of a worker for each further busy spell", 2, each),
    ]


def ratios(results: Results) -> Json:
    """Writes of everyone by pod, KEDA's over ours."""
    return {TUNED.name: results.ratio("everyone", TUNED.name, OURS)}
