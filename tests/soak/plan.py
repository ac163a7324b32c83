"""What a run does and when: the sequence of load and faults, of a seed and a length alone. Pure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

type Spec = dict[str, Any]

MINUTE: Final = 60.0
# What is different about each of the runners; index: what Arrival and Fault call `pool`.
RUNNERS: Final[tuple[Spec, ...]] = (
    {"maxReplicas": 4, "idleTimeoutSeconds": 5, "rollout": {"maxSurge": 0}},
    {"maxReplicas": 4, "maxThreads": 2, "idleTimeoutSeconds": 15},
    {"minReplicas": 1, "maxReplicas": 5, "idleTimeoutSeconds": 10},
)
SURGE: Final = 1  # maxSurge where nothing else is said
# The operator is killed only in the first minutes: its memory is compared within one process' life.
KILLED_BEFORE: Final = 5 * MINUTE
KILLS: Final = 2
_REST: Final = 5 * MINUTE
_LONGEST_TASK: Final = 45.0


class Kind(StrEnum):
    """A fault's kind, as the summary says it."""

    REDIS_STOPPED = "Redis stopped and started"
    REDIS_BLACK_HOLE = "Redis' packets swallowed"
    CONNECTIONS_DROPPED = "Redis' connections dropped"
    API_SERVER_KILLED = "API server killed"
    OPERATOR_KILLED = "operator killed"
    WORKER_KILLED = "busy worker killed"
    POD_EVICTED = "pod evicted"
    POD_DELETED = "pod deleted"
    IMAGE_BROKEN = "image that does not exist, and back"
    MODULE_BROKEN = "module that does not exist, and back"


# How long each lasts, in seconds; 0: it is done in a moment.
DURATIONS: Final[dict[Kind, tuple[float, float]]] = {
    Kind.REDIS_STOPPED: (3, 30),
    Kind.REDIS_BLACK_HOLE: (5, 40),
    Kind.CONNECTIONS_DROPPED: (0, 0),
    Kind.API_SERVER_KILLED: (3, 20),
    Kind.OPERATOR_KILLED: (0, 0),
    Kind.WORKER_KILLED: (0, 0),
    Kind.POD_EVICTED: (0, 0),
    Kind.POD_DELETED: (0, 0),
    Kind.IMAGE_BROKEN: (10, 40),
    Kind.MODULE_BROKEN: (10, 40),
}


@dataclass(frozen=True)
class Arrival:
    """Tasks that are called at once; `at` in seconds from the run's begin, each task with what it takes."""

    at: float
    pool: int
    tasks: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Fault:
    """What is broken when, of which runner, and for how long."""

    at: float
    kind: Kind
    pool: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """A whole run: load and faults until `loaded`, rest until `ends`, in seconds from the run's begin."""

    seed: int
    loaded: float
    ends: float
    arrivals: tuple[Arrival, ...]
    faults: tuple[Fault, ...]


def make(seed: int, minutes: float) -> Plan:
    """The plan of a seed; two of the same seed and length are the same."""
    ends = minutes * MINUTE
    loaded = ends - min(_REST, ends / 2)
    arrivals = [a for pool in range(len(RUNNERS)) for a in _load(_dice(seed, f"load {pool}"), pool, loaded)]
    faults = [*_faults(_dice(seed, "faults"), loaded), *_kills(_dice(seed, "kills"), loaded)]
    return Plan(
        seed,
        loaded,
        ends,
        tuple(sorted(arrivals, key=lambda arrival: arrival.at)),
        tuple(sorted(faults, key=lambda fault: fault.at)),
    )


def _dice(seed: int, of: str) -> random.Random:
    """Each has a generator of its own: a change of one leaves the others as they were."""
    return random.Random(f"{seed} {of}")  # noqa: S311 - the same in each run


def _load(dice: random.Random, pool: int, until: float) -> Iterator[Arrival]:
    """Phases of a quarter to one and a half minutes, each of another load, or of none."""
    time = dice.uniform(0, 5)
    while time < until:
        end = min(until, time + dice.uniform(15, 90))
        match dice.choice(("quiet", "trickle", "trickle", "burst", "long")):
            case "trickle":
                while time < end:
                    yield Arrival(time, pool, (("short", dice.uniform(0.1, 2.0)),))
                    time += dice.uniform(0.5, 4.0)
            case "burst":
                yield Arrival(time, pool, tuple(("short", dice.uniform(0.2, 3.0)) for _ in range(dice.randint(8, 30))))
            case "long":
                count = dice.randint(2, 6)
                yield Arrival(time, pool, tuple(("long", dice.uniform(10, _LONGEST_TASK)) for _ in range(count)))
        time = end


def _faults(dice: random.Random, until: float) -> Iterator[Fault]:
    """One after the other, each kind as often as any other: all kinds in an order, then all again in another one."""
    kinds = [kind for kind in Kind if kind is not Kind.OPERATOR_KILLED]
    time = dice.uniform(15, 25)
    while True:
        dice.shuffle(kinds)
        for kind in kinds:
            seconds = dice.uniform(*DURATIONS[kind])
            if time + seconds > until:
                return
            yield Fault(time, kind, dice.randrange(len(RUNNERS)), seconds)
            time += seconds + dice.uniform(5, 25)


def _kills(dice: random.Random, until: float) -> Iterator[Fault]:
    # The container is started again after a back-off that grows; a minute before the limit is time enough.
    for _ in range(KILLS):
        yield Fault(dice.uniform(10, min(KILLED_BEFORE - MINUTE, until * 0.8)), Kind.OPERATOR_KILLED, 0, 0)
