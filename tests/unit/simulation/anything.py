"""A scenario for each seed: any load, any timing, any trouble, any change of mind."""

import random
from typing import Any, Final

from tests.unit.simulation import loads, worstmoments
from tests.unit.simulation.run import Timing
from tests.unit.simulation.scenario import Arrivals, Fates, Scenario, Span

type Json = dict[str, Any]

# What ends a change of mind of this kind.
_TAKEN_BACK: Final[dict[str, Json]] = {"pin": {"replicas": None}, "mode": {"mode": "Auto"}}
WORK_SECONDS: Final = 15.0  # of each thread


def scenario(seed: int) -> Scenario:
    """What happens in the run of `seed`."""
    rng = random.Random(seed)  # noqa: S311 - dice of a test
    moment = _moment(seed)
    if moment is not None:
        return moment(rng)
    length = rng.uniform(3, 16)
    spec = _spec(rng)
    changes = _spec_changes(rng, spec, length)
    smallest = min([spec["maxReplicas"], *(change.get("maxReplicas", 100) for _, change in changes)])
    return Scenario(
        arrivals=_arrivals(rng, length, smallest * spec["maxThreads"], spec["idleTimeoutSeconds"]),
        spec=spec,
        timing=_timing(rng),
        fates=_fates(rng, spec),
        tells=seed % 3 != 0,
        long_rest=rng.random() < 0.04,
        spec_changes=changes,
        broker_outages=_spans(rng, length, 0.2, (1, 10)),
        watch_stalls=_spans(rng, length, 0.3, (1, 10)),
        user_deletes=tuple(rng.uniform(1, length) for _ in range(rng.choice((0, 0, 0, 0, 1, 3)))),
        restarts=_spans(rng, length, 0.4, (0, 10)),
        second_leaders=_spans(rng, length, 0.25, (1, 10)),
        lost_requests=rng.choice((0.0, 0.0, 0.0, 0.05)),
    )


def seeds_of(moment: worstmoments.Moment, until: int) -> list[int]:
    """The seeds whose scenario is this worst moment."""
    return [seed for seed in range(until) if _moment(seed) is moment]


def _moment(seed: int) -> worstmoments.Moment | None:
    every_eighth, rest = divmod(seed, 8)
    return None if rest else worstmoments.ALL[every_eighth % len(worstmoments.ALL)]


def _spec(rng: random.Random) -> Json:
    highest = rng.randint(1, 8)
    # Where the backend shows its entries and who holds them, and where not.
    kind = rng.choice(("redis", "redis", "mongodb"))
    spec: Json = {
        "backend": {kind: {"url": f"{kind}://{kind}:1000"}},
        "maxReplicas": highest,
        "minReplicas": rng.choice((0, 0, 0, rng.randint(0, highest))),
        "enforceMaxReplicas": rng.random() < 0.05,
        "maxThreads": rng.choice((1, 1, 2, 4)),
        "idleTimeoutSeconds": rng.choice((1, 1, 2, 2, 6)),
        "pollIntervalSeconds": rng.choice((1, 1, 3, 5)),
        "drainTimeoutSeconds": rng.choice((3600, 3600, 60, 10)),
        "startDeadlineSeconds": rng.choice((20, 40)),
        "failedPodsHistoryLimit": rng.choice((0, 3)),
        "rollout": {"maxSurge": rng.choice((0, 1, 1, 3))},
    }
    if rng.random() < 0.2:
        action = {"action": "Replicas", "replicas": rng.randint(0, highest + 1), "afterSeconds": rng.randint(1, 8)}
        spec["onBrokerDown"] = action
    if rng.random() < 0.1:
        spec["replicas"] = rng.randint(1, highest)
    if rng.random() < 0.15:
        spec["scaleUp"] = {"maxPods": rng.randint(1, 4), "periodSeconds": rng.randint(1, 10)}
    return spec


def _arrivals(rng: random.Random, length: float, threads: int, idle_timeout: float) -> Arrivals:
    parts: list[Arrivals] = []
    if rng.random() < 0.7:
        parts.append(loads.poisson(rng, rng.uniform(0.05, 1.5), rng.choice((1.0, 3.0, 15.0)), length))
    parts.extend(
        loads.at_once((rng.randint(1, 20), rng.uniform(0.05, 8)), at=rng.uniform(1, length))
        for _ in range(rng.choice((0, 0, 1, 3)))
    )
    if rng.random() < 0.2:
        period = rng.uniform(3, 20)
        parts.append(loads.square_wave(rng.randint(1, 15), rng.uniform(0.1, period), period, length))
    if rng.random() < 0.2:
        parts.append(loads.stream(rng.uniform(0.5, 6), rng.uniform(0.05, 1.5), length))
    if rng.random() < 0.3:  # just when the workers have been idle for long enough
        period = idle_timeout + rng.uniform(0.9, 3.0)
        parts.append(loads.square_wave(rng.randint(1, 6), rng.uniform(0.05, 1.0), period, length))
    return _bounded(loads.merged(*parts), threads)


def _bounded(arrivals: Arrivals, threads: int) -> Arrivals:
    """Those that even the smallest pool has done in a reasonable time."""
    kept, work = [], 0.0
    for arrival in arrivals:
        work += arrival[1] + 0.5
        if work < WORK_SECONDS * threads:
            kept.append(arrival)
    return tuple(kept)


def _timing(rng: random.Random) -> Timing:
    start = rng.choice((1.0, 1.0, 2.0, 6.0))
    return Timing(
        request=rng.choice(((0.002, 0.02), (0.002, 0.02), (0.01, 0.8))),
        watch=rng.choice(((0.0, 0.2), (0.0, 0.2), (0.0, 2.0))),
        start=(0.5 * start, 2 * start),
        load=rng.choice(((0.2, 1.0), (0.2, 1.0), (1.0, 4.0))),
        report=rng.choice(((0.005, 0.05), (0.01, 0.5), (0.01, 0.5))),
        stop=rng.choice(((0.05, 1.0), (0.05, 4.0))),
        hold=rng.choice(((0.001, 0.03), (0.001, 0.03), (0.05, 1.0))),
    )


def _fates(rng: random.Random, spec: Json) -> Fates:
    if rng.random() < 0.7:
        return Fates()
    return Fates(
        never_starts=rng.choice((0.0, 0.1)),
        never_bound=rng.choice((0.0, 0.1)),
        never_reports=rng.choice((0.0, 0.1)),
        crashes=rng.choice((0.0, 0.2, 1.0)),
        # Elsewhere a runner that vanished without a pod is found by pynenc alone, while somebody works.
        dies=rng.choice((0.0, 0.2)) if "redis" in spec["backend"] else 0.0,
    )


def _spec_changes(rng: random.Random, spec: Json, length: float) -> tuple[tuple[float, Json], ...]:
    """Changes of mind: now and then, or to and fro faster than a pool can follow."""
    found: list[tuple[float, Json]] = []
    for _ in range(rng.choice((0, 0, 1, 2))):
        at = rng.uniform(1, length)
        how_often, pause = (rng.randint(2, 6), 4.0) if rng.random() < 0.4 else (1, length)
        kind = rng.choice(("maximum", "maximum", "pin", "template", "mode"))
        for number in range(how_often):
            found.append((at, _change(rng, spec, kind, number)))
            at += rng.uniform(0.2, pause)
        if kind in _TAKEN_BACK:
            found.append((at, _TAKEN_BACK[kind]))
    return tuple(sorted(found, key=lambda change: change[0]))


def _change(rng: random.Random, spec: Json, kind: str, number: int) -> Json:
    if kind == "template":
        return {"image": f"registry.example/reports:{number % 2}"}
    if kind == "mode":
        return {"mode": rng.choice(("Paused", "Shadow", "Auto"))}
    lowest, highest = max(1, spec["minReplicas"]), spec["maxReplicas"]
    wanted = rng.choice((lowest, rng.randint(lowest, highest), highest))
    return {"maxReplicas" if kind == "maximum" else "replicas": wanted}


def _spans(rng: random.Random, length: float, chance: float, lasting: Span) -> tuple[Span, ...]:
    """At most two spans that do not meet."""
    if rng.random() >= chance:
        return ()
    begin = rng.uniform(1, length / 2)
    spans = [(begin, begin + rng.uniform(*lasting))]
    if rng.random() < 0.3:
        begin = spans[0][1] + rng.uniform(1, length / 2)
        spans.append((begin, begin + rng.uniform(*lasting)))
    return tuple(spans)
