"""What a runner's conditions say. Pure.

They follow Kubernetes' API conventions: a condition's lastTransitionTime moves only with its status, and
messages hold no figure that changes by itself, so that a pool at rest is never written.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pynenc_operator.consumption import SUSPECT_AGAIN_SECONDS
from pynenc_operator.decision import Decision
from pynenc_operator.model import Failures, Key, Orphans, QueueDepth, Trouble
from pynenc_operator.pool import Pool
from pynenc_operator.pynencline import lacks_queues
from pynenc_operator.reason import Reason
from pynenc_operator.runnerspec import Mode, RunnerSpec

type Json = dict[str, Any]

READY: Final = "Ready"
BROKER_REACHABLE: Final = "BrokerReachable"
TEMPLATE_VALID: Final = "TemplateValid"
SCALING_LIMITED: Final = "ScalingLimited"
PROGRESSING: Final = "Progressing"
NAME_TAKEN: Final = "NameTaken"
DEMAND_NOT_CONSUMED: Final = "DemandNotConsumed"
QUEUE_SHARED: Final = "QueueShared"
RECOVERY_PENDING: Final = "RecoveryPending"
IDLE_WORKER_HANGS: Final = "IdleWorkerHangs"

_LIMITS: Final = {
    Reason.MAX_REPLICAS: "the queue asks for more pods than spec.maxReplicas allows",
    Reason.SCALE_UP_LIMIT: "spec.scaleUp spreads the creation of pods over time",
    Reason.QUOTA: "a ResourceQuota of the namespace allows no more pods; raise it or lower spec.maxReplicas",
    Reason.REFUSED: "the API server refuses to create pods now; it is asked again within 20 s: see the operator's log",
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
    queue_shared: Problem | None = None


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
    orphans: Orphans | None = None
    hang_suspected_at: float | None = None
    trouble: Trouble | None = None  # what the platform says of a pod of the present template
    scaled: bool = False  # how many pods serve was changed just now
    start_seconds: int | None = None


def rfc3339(seconds: float) -> str:
    """A time as Kubernetes writes it, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def compute(previous: Iterable[Json], report: Report, now: float) -> list[Json]:
    """Compute a runner's conditions; those of `previous` give the times of what has not changed."""
    before = {condition["type"]: condition for condition in previous}
    if _suspects(report.decision):
        before.pop(IDLE_WORKER_HANGS, None)  # each suspicion has its own time
    facts = report.facts
    wanted = [
        (READY, *_ready(report)),
        (BROKER_REACHABLE, *_broker(report)),
        (TEMPLATE_VALID, *_template(report)),
        (SCALING_LIMITED, *_limited(report.decision)),
        (PROGRESSING, *_progressing(report)),
    ]
    special = {
        NAME_TAKEN: facts.name_taken,
        DEMAND_NOT_CONSUMED: _not_consumed(report.decision),
        IDLE_WORKER_HANGS: _hangs(report, now),
        RECOVERY_PENDING: _recovery(report),
        QUEUE_SHARED: facts.queue_shared,
    }
    wanted += [(kind, "True", found.reason, found.message) for kind, found in special.items() if found]
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
    if _template(report)[0] == "False":
        return "False", "TemplateInvalid", "no pod of this template can serve: see condition TemplateValid"
    if facts.broker:
        return "False", "BrokerUnreachable", "the queue can't be counted: see condition BrokerReachable"
    if report.failures and not report.pool.idle and not report.pool.active:
        return (
            "False",
            "PodsFail",
            "pods of this template fail: see condition Progressing, and kubectl logs of a failed pod",
        )
    if report.pool.serving:
        return "True", "Serving", _why_so_many(report)
    return "True", "AtZero", _why_so_many(report)


def _why_so_many(report: Report) -> str:
    """Say in one sentence how many pods serve, what they do, and why they are not more or fewer.

    All its figures follow from counts that stand in the status too: it never changes alone.
    """
    pool, spec, decision = report.pool, report.spec, report.decision
    coming = len(pool.not_started) + len(pool.starting)
    whys = (
        (decision.limited, _LIMITS.get(decision.limited or Reason.STEADY, "")),
        (spec.pin is not None, "spec.replicas pins the pool"),
        (spec.enforce_max_replicas, "spec.enforceMaxReplicas keeps the pool full"),
        (not pool.serving, "none is needed, the first queued invocation starts one"),
        (decision.not_consumed, "idle workers leave queued work alone: see condition DemandNotConsumed"),
        (decision.unrecovered, "what a dead worker held is queued again: see condition RecoveryPending"),
        (coming, "the queue or spec.minReplicas has asked for those that come"),
        (pool.serving <= spec.min_replicas, "spec.minReplicas keeps so many"),
        (pool.idle, "idle ones leave after spec.idleTimeoutSeconds, unless the queue needs them"),
        (True, "all run tasks, and none is asked to leave before they end"),
    )
    why = next(text for holds, text in whys if holds)
    counts = ((len(pool.active), "active"), (len(pool.idle), "idle"), (coming, "coming"))
    doing = ", ".join(f"{count} {what}" for count, what in counts if count)
    return f"{pool.serving} pod{'s' * (pool.serving != 1)}{f' ({doing})' if doing else ''}: {why}"


def _broker(report: Report) -> tuple[str, str, str]:
    problem = report.facts.broker
    if problem:
        return "False", problem.reason, problem.message
    if report.depth is None:
        return "Unknown", "NotAsked", "the queue has not been counted yet"
    return "True", "Counted", "the queue is counted"


def _template(report: Report) -> tuple[str, str, str]:
    if problem := report.facts.template:
        return "False", problem.reason, problem.message
    if report.spec.queues and lacks_queues(report.pool, report.trouble):
        return (
            "False",
            "QueuesUnsupported",
            "the image's pynenc has a single queue: leave spec.queues out, or put pynenc 0.4 into image and producers",
        )
    if report.facts.template_valid is None:
        return "Unknown", "NotTried", "the API server has not been asked yet"
    return "True", "Accepted", "the API server accepts the pod that is built from this spec"


def _limited(decision: Decision) -> tuple[str, str, str]:
    if decision.limited:
        return "True", str(decision.limited), _LIMITS[decision.limited]
    return "False", "NotLimited", "the pool is as large as the queue asks for"


def _progressing(report: Report) -> tuple[str, str, str]:
    """How the present template fares, as a Deployment's condition of this name tells it."""
    if report.failures or report.trouble:
        trouble = report.trouble or Trouble(
            "PodsFail", "a pod ended within 60 s of its start, or did not report within its start deadline"
        )
        return "False", trouble.reason, trouble.message or "the platform gives no message"
    if report.pool.old:
        return "True", "RollingOut", "pods of an older template are being replaced"
    return "True", "UpToDate", "all serving pods are of the present template"


def _not_consumed(decision: Decision) -> Problem | None:
    if decision.not_consumed:
        return Problem(
            "NotTaken",
            "idle workers leave queued work alone: check that producers and workers use the same backend and appId, "
            "and the workers' logs; meanwhile it adds no pods",
        )
    return None


def _suspects(decision: Decision) -> bool:
    return any(drain.reason is Reason.HANGING for drain in decision.drains)


def _hangs(report: Report, now: float) -> Problem | None:
    suspected = report.hang_suspected_at
    if _suspects(report.decision) or (suspected is not None and now - suspected < SUSPECT_AGAIN_SECONDS):
        return Problem(
            "AskedToLeave",
            "a worker was idle for 30 s while the queue was never empty: it may hang, and was asked to leave; see its "
            "log",
        )
    return None


def _recovery(report: Report) -> Problem | None:
    mend = "one worker hands them on; with spec.replicas 0, mode Paused or Shadow none is started: change that"
    if report.decision.unrecovered:
        return Problem("WorkerDied", f"a worker has died, and what it held waits to be queued again: {mend}")
    if report.orphans and not report.pool.active:
        return Problem(
            "OrphanedInvocations",
            f"invocations are RUNNING or PENDING though no worker of this runner lives: {mend}. What one that reaches "
            "the backend has not handed on in 15 minutes belongs to another runner, or waits for one",
        )
    return None
