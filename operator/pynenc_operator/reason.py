"""Why something is decided. Pure."""

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why something is decided: the one vocabulary of status, events and metrics."""

    STEADY = "Steady"
    QUEUE_DEPTH = "QueueDepth"
    MIN_REPLICAS = "MinReplicas"
    ENFORCED_MAXIMUM = "EnforcedMaximum"
    PINNED = "Pinned"
    BROKER_DOWN_REPLICAS = "BrokerDownReplicas"
    MAX_REPLICAS = "MaxReplicas"
    SCALE_UP_LIMIT = "ScaleUpLimit"
    QUOTA = "QuotaExceeded"
    REFUSED = "CreationRefused"
    START_FAILURES = "StartFailures"
    TEMPLATE = "TemplateChanged"
    IDLE_TIMEOUT = "IdleTimeout"
    NOT_NEEDED = "NotNeeded"
    NOT_IDLE = "NotIdle"
    ABOVE_MAXIMUM = "AboveMaximum"
    HANGING = "IdleWorkerHangs"
    DRAINED = "Drained"
    DRAIN_TIMEOUT = "DrainTimeout"
    SILENT = "Silent"
    ENDED = "Ended"
    WORKER_DIED = "WorkerDied"
    ORPHANS = "OrphanedInvocations"
    RECOVERED = "Recovered"
    BROKER_UNREACHABLE = "BrokerUnreachable"
    PAUSED = "Paused"


# Of steps that clear away pods whose life is over: how many serve is what it was before.
OVER: Final = frozenset({Reason.DRAINED, Reason.DRAIN_TIMEOUT, Reason.SILENT, Reason.ENDED})
