"""What a runner's status says, computed whole from what is seen and decided. Pure."""

import math
from typing import Any, Final

from pynenc_operator import conditions, labels
from pynenc_operator.conditions import Report, rfc3339
from pynenc_operator.model import Failures, Orphans

type Json = dict[str, Any]

# A queue depth alone is written this often at most: metrics are the place for what changes all the time.
QUEUE_DEPTH_SECONDS: Final = 10.0
# A learned start decays by this share with each faster one.
START_DECAY: Final = 0.1


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
        "orphans": _orphans(report.orphans),
        "lastScaleTime": previous.get("lastScaleTime"),
        "lastScaleReason": previous.get("lastScaleReason"),
        "conditions": conditions.compute(previous.get("conditions", ()), report, now),
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


def _failures(failures: Failures | None) -> Json | None:
    if failures is None:
        return None
    return {
        "templateHash": failures.template_hash,
        "count": failures.count,
        "lastTime": rfc3339(failures.last_time),
    }


def _orphans(orphans: Orphans | None) -> Json | None:
    if orphans is None:
        return None
    # Also where it is false: a merge patch leaves what it does not name.
    return {"count": orphans.count, "since": rfc3339(orphans.since), "givenUp": orphans.given_up}
