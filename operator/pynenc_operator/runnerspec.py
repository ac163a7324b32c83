"""What of a MultiThreadRunner's spec bears on scaling. Pure data; durations are seconds."""

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """How much the operator may do for a runner."""

    AUTO = "Auto"
    PAUSED = "Paused"
    SHADOW = "Shadow"


class BrokerDownAction(StrEnum):
    """What is done while the broker can't be reached."""

    HOLD = "Hold"
    REPLICAS = "Replicas"


@dataclass(frozen=True, slots=True)
class ScaleUpLimit:
    """At most `max_pods` pods created for demand in any `period_seconds`."""

    max_pods: int
    period_seconds: int


@dataclass(frozen=True, slots=True)
class BrokerDownFloor:
    """A floor of `replicas` once the broker has been unreachable for `after_seconds`."""

    replicas: int
    after_seconds: int


@dataclass(frozen=True, slots=True)
class RunnerSpec:
    """What of a MultiThreadRunner's spec bears on scaling. pre: 0 <= min <= max, 1 <= threads."""

    min_replicas: int = 0
    max_replicas: int = 10
    enforce_max_replicas: bool = False
    max_threads: int = 1
    idle_timeout_seconds: int = 60
    pin: int | None = None
    mode: Mode = Mode.AUTO
    poll_interval_seconds: int = 1
    drain_timeout_seconds: int = 3600
    start_deadline_seconds: int | None = None
    scale_up: ScaleUpLimit | None = None
    broker_down: BrokerDownFloor | None = None
    failed_pods_history_limit: int = 3
    max_surge: int = 1
    queues: tuple[str, ...] = ()  # none named: all
