"""What a runner's status says, computed whole from what is seen and decided. Pure.

Conditions follow Kubernetes' API conventions: a condition's lastTransitionTime moves only with its
status, and messages hold no figure that changes by itself, so that a pool at rest is never written.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pynenc_operator import labels
from pynenc_operator.model import Decision, Failures, Key, QueueDepth, Reason, Trouble
from pynenc_operator.pool import Pool
from pynenc_operator.runnerspec import Mode, RunnerSpec

type Json = dict[str, Any]

# A queue depth alone is written this often at most: metrics are the place for what changes all the time.
QUEUE_DEPTH_SECONDS: Final = 10.0
# A learned start decays by this share with each faster one.
START_DECAY: Final = 0.1

READY: Final = "Ready"
BROKER_REACHABLE: Final = "BrokerReachable"
TEMPLATE_VALID: Final = "TemplateValid"
SCALING_LIMITED: Final = "ScalingLimited"
PROGRESSING: Final = "Progressing"
NAME_TAKEN: Final = "NameTaken"

_LIMITS: Final = {
    Reason.MAX_REPLICAS: "the queue asks for more pods than spec.maxReplicas allows",
    Reason.SCALE_UP_LIMIT: "spec.scaleUp spreads the creation of pods over time",
    Reason.QUOTA: "a ResourceQuota of the namespace allows no more pods; raise it or lower spec.maxReplicas",
    Reason.START_FAILURES: "pods of this template fail; one at a time is tried, ever more rarely: see Progressing",
    Reason.PINNED: "the queue asks for more pods than spec.replicas pins",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What stands in the way: a CamelCase reason, and a message with the mend in it."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a runner's surroundings bears on its conditions. `template_valid` None: not tried yet."""

    broker: Problem | None = None
    template: Problem | None = None
    template_valid: bool | None = None
    name_taken: Problem | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All that a status is computed from."""

    key: Key
    generation: int
    spec: RunnerSpec
    pool: Pool
    decision: Decision
    depth: QueueDepth | None
    facts: Facts
    failures: Failures | None = None
    trouble: Trouble | None = None  # what the platform says of a pod of the present template
    scaled: bool = False  # how many pods serve was changed just now
    start_seconds: int | None = None


def compute_status(previous: Json, report: Report, now: float) -> Json:
    """Compute the status of a runner; `previous` gives the times of what has not changed."""
    pool, decision = report.pool, report.decision
    status: Json = {
        "observedGeneration": report.generation,
        "replicas": len(pool.live),
        "readyReplicas": sum(pod.ready for pod in pool.live),
        "activeReplicas": len(pool.active),
        "idleReplicas": len(pool.idle),
        "drainingReplicas": len(pool.draining),
        "desiredReplicas": decision.desired,
        "queueDepth": report.depth.count if report.depth else None,
        "selector": labels.workers_of(report.key.name),
        "startSeconds": report.start_seconds,
        "failures": _failures(report.failures),
        "lastScaleTime": previous.get("lastScaleTime"),
        "lastScaleReason": previous.get("lastScaleReason"),
        "conditions": _conditions(previous.get("conditions", ()), report, now),
    }
    if report.scaled:
        status.update(lastScaleTime=rfc3339(now), lastScaleReason=str(decision.reason))
    return {name: value for name, value in status.items() if value is not None}


def patch_for(previous: Json, status: Json, seconds_since_write: float) -> Json | None:
    """The merge patch that makes `previous` the new status; None if it is not worth a request.

    That is the steady state: nothing has changed. A queue depth alone waits for QUEUE_DEPTH_SECONDS.
    """
    changed = {name: value for name, value in status.items() if previous.get(name) != value}
    gone = {name: None for name in previous if name not in status}
    patch = {**changed, **gone}
    if not patch or (set(patch) == {"queueDepth"} and seconds_since_write < QUEUE_DEPTH_SECONDS):
        return None
    return patch


def learn_start_seconds(known: int | None, seen: float | None) -> int | None:
    """A slowly decaying maximum of the seconds from a pod's creation to its first report."""
    if seen is None:
        return known
    whole = math.ceil(seen)
    if known is None or whole >= known:
        return whole
    return max(whole, math.floor(known - START_DECAY * (known - whole)))


def rfc3339(seconds: float) -> str:
    """A time as Kubernetes writes it, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _conditions(previous: Iterable[Json], report: Report, now: float) -> list[Json]:
    before = {condition["type"]: condition for condition in previous}
    facts = report.facts
    wanted = [
        (READY, *_ready(report)),
        (BROKER_REACHABLE, *_broker(report)),
        (TEMPLATE_VALID, *_template(facts)),
        (SCALING_LIMITED, *_limited(report.decision)),
        (PROGRESSING, *_progressing(report)),
    ]
    if facts.name_taken:
        wanted.append((NAME_TAKEN, "True", facts.name_taken.reason, facts.name_taken.message))
    return [
        _condition(before.get(kind), (kind, status, reason, message), report.generation, now)
        for kind, status, reason, message in wanted
    ]


def _condition(before: Json | None, wanted: tuple[str, str, str, str], generation: int, now: float) -> Json:
    kind, status, reason, message = wanted
    same = before is not None and before["status"] == status
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"] if same and before else rfc3339(now),
    }


def _ready(report: Report) -> tuple[str, str, str]:
    """Whether queued work would be served: true also at zero pods, so that `kubectl wait` works."""
    facts = report.facts
    if report.spec.mode is Mode.PAUSED:
        return "False", "Paused", "spec.mode is Paused: nothing is created, drained or deleted; set Auto to go on"
    if report.spec.mode is Mode.SHADOW:
        return "False", "Shadow", "spec.mode is Shadow: decisions are reported and not carried out; set Auto to act"
    if facts.template:
        return "False", "TemplateInvalid", "no pod can be made of this template: see condition TemplateValid"
    if facts.broker:
        return "False", "BrokerUnreachable", "the queue can't be counted: see condition BrokerReachable"
    if report.failures and not report.pool.idle and not report.pool.active:
        return (
            "False",
            "PodsFail",
            "pods of this template fail: see condition Progressing, and kubectl logs of a failed pod",
        )
    if report.pool.serving:
        return "True", "Serving", "worker pods follow the queue"
    return "True", "AtZero", "no pod is needed; the first queued invocation starts one"


def _broker(report: Report) -> tuple[str, str, str]:
    problem = report.facts.broker
    if problem:
        return "False", problem.reason, problem.message
    if report.depth is None:
        return "Unknown", "NotAsked", "the queue has not been counted yet"
    return "True", "Counted", "the queue is counted through pynenc's broker"


def _template(facts: Facts) -> tuple[str, str, str]:
    if facts.template:
        return "False", facts.template.reason, facts.template.message
    if facts.template_valid is None:
        return "Unknown", "NotTried", "the API server has not been asked yet"
    return "True", "Accepted", "the API server accepts the pod that is built from this spec"


def _limited(decision: Decision) -> tuple[str, str, str]:
    if decision.limited:
        return "True", str(decision.limited), _LIMITS[decision.limited]
    return "False", "NotLimited", "the pool is as large as the queue asks for"


def _progressing(report: Report) -> tuple[str, str, str]:
    """How the present template fares, as a Deployment's condition of this name tells it."""
    if report.failures or report.trouble:
        trouble = report.trouble or Trouble("PodsFail", "a pod ended, or never reported, within its start deadline")
        return "False", trouble.reason, trouble.message or "the platform gives no message"
    if report.pool.old:
        return "True", "RollingOut", "pods of an older template are being replaced"
    return "True", "UpToDate", "all serving pods are of the present template"


def _failures(failures: Failures | None) -> Json | None:
    if failures is None:
        return None
    return {
        "templateHash": failures.template_hash,
        "count": failures.count,
        "lastTime": rfc3339(failures.last_time),
    }
