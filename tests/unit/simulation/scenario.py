"""What a simulated run is given: a runner, work, latencies and trouble. And what it comes to."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.unit.simulation.run import Timing

type Json = dict[str, Any]
type Span = tuple[float, float]  # from, to: seconds of the run
type Arrivals = tuple[tuple[float, float], ...]  # when a task is enqueued, how long it runs


@dataclass(frozen=True, slots=True)
class Fates:
    """The shares of pods that come to grief; the rest lives until it is asked to leave."""

    never_starts: float = 0.0  # its image can't be pulled
    never_bound: float = 0.0  # no node takes it
    never_reports: float = 0.0  # its import hangs
    crashes: float = 0.0  # at start, before it reports
    dies: float = 0.0  # some time after it has reported, with what it runs


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story. Trouble ends before `calm`; what must hold in the end is counted from there."""

    arrivals: Arrivals
    spec: Json = field(default_factory=dict)  # over the CRD's defaults
    timing: Timing = field(default_factory=Timing)
    fates: Fates = field(default_factory=Fates)
    spec_changes: tuple[tuple[float, Json], ...] = ()
    broker_outages: tuple[Span, ...] = ()
    watch_stalls: tuple[Span, ...] = ()  # nothing arrives, and all of it at the end
    restarts: tuple[Span, ...] = ()  # when the operator is killed, when a new one begins
    second_leaders: tuple[Span, ...] = ()  # when another one believes that it leads, and until when
    kills: tuple[tuple[float, str], ...] = ()  # when a pod, by its name, is killed with all that it runs
    user_deletes: tuple[float, ...] = ()  # when a user deletes some pod, or it is evicted
    hangs: tuple[tuple[float, str], ...] = ()  # from when on a pod's worker takes no work
    broken_images: frozenset[str] = frozenset()  # whose pods crash at start
    lost_requests: float = 0.0  # the share of the operator's requests without an answer
    tells: bool = True  # whether its Redis tells of new work, where it is one
    long_rest: bool = False  # whether the pool is watched for long in the end, or only for seconds
    cautious_workers: bool = True  # nothing is taken before the first report is accepted

    @property
    def troubled(self) -> bool:
        """Whether anything but work happens to the pool."""
        spans = (*self.broker_outages, *self.watch_stalls, *self.restarts, *self.second_leaders)
        deeds = (*self.spec_changes, *self.kills, *self.hangs, *self.user_deletes)
        return bool(spans or deeds) or self.fates != Fates()

    @property
    def calm(self) -> float:
        """When the last task has arrived and the last trouble is over."""
        spans = (*self.broker_outages, *self.watch_stalls, *self.restarts, *self.second_leaders)
        ends = [end for _, end in spans] + [at for at, _ in (*self.spec_changes, *self.kills, *self.hangs)]
        ends += self.user_deletes
        return max([0.0, *ends, *(at for at, _ in self.arrivals)])


@dataclass(slots=True)
class Outcome:
    """What a run came to. Times in seconds."""

    creations: list[tuple[float, str]] = field(default_factory=list)  # of pods: when, with which image
    worked: int = 0  # pods that ran a task
    peak: int = 0  # live pods
    pod_seconds: float = 0.0  # of live pods
    waits: list[float] = field(default_factory=list)  # from enqueued to started
    done_at: float = 0.0
    at_floor_at: float = 0.0
    drains: Counter[str] = field(default_factory=Counter)  # requests, by their cause
    deletes: Counter[str] = field(default_factory=Counter)  # by what the pod was
    scale_downs: int = 0  # pods that have left because they were not needed, too many or of an older template
    deaths: int = 0
    named: int = 0  # times that a worker was asked to recover dead ones
    writes: Counter[str] = field(default_factory=Counter)

    executions: list[int] = field(default_factory=list)  # of each task, by its number

    @property
    def created(self) -> int:
        return len(self.creations)
