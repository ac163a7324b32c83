"""What a pod costs the API server from its creation to its end: requests that write, by who makes them."""

from collections import Counter

from benchmarks import keda, ours, stock
from benchmarks.bench import Json, Run
from benchmarks.results import WORST, Goal, Results
from benchmarks.scaled import TUNED, ScaledObject
from benchmarks.setups import Setup, pools
from tests.e2e.audit import READS, Audit
from tests.e2e.release import OPERATOR

WHAT = (
    "Requests that write, from a pod's creation until it is gone: of who scales (the operator; KEDA's without the "
    "controllers of HPA and Deployment), of the worker, and of all. Events and the status of the runner or "
    "ScaledObject are told apart."
)
OURS = "ours"
AT_ONCE = 10
WHOLE = (1, 1, 1, 1, 1, AT_ONCE)  # tasks of each try
SHORT = (1,)
BURST = f", {AT_ONCE} tasks at once"  # behind the set-up's name
SPELLS = 3  # busy spells of a pod that works more than once
RESTS = 20  # seconds that it may be idle: to see that a task is done takes some of them
TASK_SECONDS = 4.0
APART = ("events", "multithreadrunners/status", "scaledobjects/status")  # counted apart


def measure(run: Run) -> None:
    """One task, and several at once, from zero; a pod that works several times. Ours, then the peer, in turn."""
    run.results.unit = "requests"
    with pools() as make, keda.running():
        run.say("KEDA answers")
        peer = ScaledObject(make.make("keda", stock.SELECTOR), TUNED)
        setups: tuple[Setup, ...] = (ours.Ours(make.make(OURS)), peer)
        for setup in setups:
            run.results.settings[setup.name] = setup.settings
            setup.start()
        for number, tasks in enumerate(SHORT if run.short else WHOLE):
            for setup in setups:
                label = setup.name + (BURST if tasks == AT_ONCE else "")
                found = burst(setup, tasks, f"{number}")
                run.results.add(label, number=number, spells=1, **found)
                run.say(f"{label}: {found}")
        patient = ours.Ours(make.make("spells"), OURS, idleTimeoutSeconds=RESTS)
        patient.start()
        found = spells(patient)
        run.results.add(f"{OURS}, {SPELLS} spells", number=0, spells=SPELLS, **found)
        run.say(f"{OURS}, {SPELLS} busy spells of a pod: {found}")


def burst(setup: Setup, tasks: int, name: str) -> Json:
    """So many tasks from zero to zero; how many pods take them is up to the set-up."""
    setup.until_zero()
    audit, known = Audit(), setup.pool.history.uids()
    done = setup.pool.queue.succeeded()
    setup.pool.enqueue(*(("long", TASK_SECONDS, f"{name}-{number}") for number in range(tasks)))
    setup.until_done(done + tasks)
    setup.until_zero()
    return counts(setup, audit, len(setup.pool.history.uids() - known), tasks)


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
    pods = len(setup.pool.history.uids() - known)
    if pods != 1:
        raise AssertionError(f"{pods} pods have shared the spells")
    return counts(setup, audit, pods, 1)


def counts(setup: Setup, audit: Audit, pods: int, share: int) -> Json:
    """Writes of who scales, of the workers, and of all with the cluster's own controllers; events and status apart.

    Each is a share of so many, which are tasks: by pods, who makes few for many tasks would look dear.
    """
    namespace = setup.pool.namespace
    scaler = OPERATOR.account if setup.name.startswith(OURS) else keda.USER
    of_scaler = writes(audit.of(scaler, namespace))
    of_workers = writes(audit.of(f"system:serviceaccount:{namespace}:", namespace))
    of_all = writes(audit.of("", namespace))
    apart = sum(n for (_, what), n in of_scaler.items() if what in APART)
    return {
        "pods": pods,
        "scaler": round((sum(of_scaler.values()) - apart) / share, 2),
        "worker": round(sum(of_workers.values()) / share, 2),
        "events and status": round(apart / share, 2),
        "everyone": round(sum(of_all.values()) / share, 2),
        "by": {f"{verb} {what}": n for (verb, what), n in sorted(of_scaler.items())},
    }


def writes(requests: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """Those that write; the dry run by which a template is tried is none."""
    return Counter({key: n for key, n in requests.items() if key[0] not in READS and "dry run" not in key[0]})


def goals(results: Results) -> list[Goal]:
    """The budget of docs/architecture.md, which no try may exceed."""
    further = most(results, "worker", f"{OURS}, {SPELLS} spells")
    once = most(results, "worker", OURS, OURS + BURST)
    each = (further - once) / (SPELLS - 1) if further is not None and once is not None else None
    scaler = most(results, "scaler", OURS, OURS + BURST)
    return [
        Goal("writes to pods by the operator, for each that works once", 3, scaler, by=WORST),
        Goal("writes of a worker that works once", 4, once, by=WORST),
        Goal("writes of a worker for each further busy spell", 2, each, by=WORST),
    ]


def most(results: Results, value: str, *setups: str) -> float | None:
    """The most of a value; None if it was not measured."""
    found = (results.at(setup, value, "max") for setup in setups)
    return max((each for each in found if each is not None), default=None)


def ratios(results: Results) -> Json:
    """Writes of everyone by task, KEDA's over ours."""
    return {f"{TUNED.name}{kind}": results.ratio("everyone", TUNED.name + kind, OURS + kind) for kind in ("", BURST)}
