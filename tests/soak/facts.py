"""What was seen of a run: what its verdict and its summary are made of."""

from collections import Counter
from dataclasses import dataclass, field

from tests.soak.plan import Kind


@dataclass(frozen=True)
class Operators:
    """What the operator's process uses."""

    process: str  # tells one life from the next
    kilobytes: int
    threads: int
    files: int
    to_api: int  # connections to the API server
    others: int  # connections to anybody else: Redis, and whoever asks for metrics
    series: frozenset[str]  # names with labels; empty if /metrics did not answer


@dataclass(frozen=True)
class Sample:
    """What is used at a moment; what could not be seen is None or missing."""

    at: float  # seconds since the run's begin
    operator: Operators | None
    pods: dict[str, int]  # that have not ended, by runner
    clients: dict[str, int]  # connections of pods to the runner's Redis


@dataclass(frozen=True)
class Done:
    """A fault that was done; times in Unix seconds."""

    kind: Kind
    runner: str
    begun: float
    ended: float
    nothing: bool = False  # there was nothing to break
    trouble: str = ""  # it could not be done or undone


@dataclass(frozen=True)
class Death:
    """A busy worker that a fault has killed; times in Unix seconds."""

    runner: str
    pod: str
    uid: str
    created: float
    killed: float


@dataclass(frozen=True)
class Execution:
    """A task's begin in a pod."""

    task: str
    pod: str
    started: float  # Unix seconds


@dataclass
class RunnerFacts:
    """What came of one runner."""

    most: int  # its maxReplicas and maxSurge
    connections: int = 0  # so many to its Redis may be open at rest
    peak: int = 0
    excess: list[str] = field(default_factory=list)  # the live pods when there were too many of them
    called: dict[str, float] = field(default_factory=dict)  # how long each task takes
    succeeded: int = 0
    histories: dict[str, list[str]] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)  # busy pods that were deleted, by no fault
    keys: Counter[str] = field(default_factory=Counter)
    left_behind: dict[str, float] = field(default_factory=dict)  # last beat (Unix seconds) of workers that are gone
    pods: int = 0  # how many there have ever been
    unknown: str = ""  # why something of this could not be learned


@dataclass
class Facts:
    """All that was seen of a run."""

    runners: dict[str, RunnerFacts]
    before: list[Sample]  # at rest, before the load
    samples: list[Sample]  # from the load's begin to the end
    rested: float  # since when all rests, in seconds since the begin; 0: it did not come to rest
    ended: float
    faults: list[Done]
    deaths: list[Death]
    trouble: list[str]
    revived: list[str] = field(default_factory=list)  # parts of the control plane that ended by themselves
    executor: int = 0  # most threads of the operator's event loop
    interrupted: bool = False  # then nothing had the time to end
