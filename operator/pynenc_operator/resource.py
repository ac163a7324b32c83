"""Reading Kubernetes objects, as the API server gives them, into the words of `model`. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pynenc_operator import labels
from pynenc_operator.model import Failures, Orphans, Trouble, WorkerPod, WorkerStatus
from pynenc_operator.podspec import WORKER
from pynenc_operator.runnerspec import BrokerDownAction, BrokerDownFloor, Mode, RunnerSpec, ScaleUpLimit
from pynenc_operator.specfields import Fields, check_pod_fields
from pynenc_worker import contract

type Json = dict[str, Any]

# A pod's reasons to end that are not its own fault, where no condition says so.
_DISRUPTIONS: Final = frozenset({"Evicted", "NodeShutdown", "Terminated", "Preempting"})
# A waiting container that is only on its way.
_COMING: Final = frozenset({"ContainerCreating", "PodInitializing"})
# A worker's first report writes them all.
_REPORT: Final = frozenset(
    {contract.WORKER_STATE, contract.WORKER_STATE_SINCE, contract.ACTIVE_INVOCATIONS, contract.WORKER_VERSION}
)
_MOST_INVOCATIONS: Final = 1_000_000  # more than a worker can have at a time
# The kubelet says the one while it tries and the other while it waits to try again.
_SAME_TROUBLE: Final[Mapping[str | None, str]] = {"ErrImagePull": "ImagePullBackOff"}


def parse_time(text: str) -> float:
    """Unix seconds of an RFC 3339 time."""
    return datetime.fromisoformat(text).timestamp()


def parse_pod(pod: Json) -> WorkerPod:
    """Read what the rules need of a pod as the API server gives it."""
    meta, status = pod["metadata"], pod.get("status", {})
    annotations = meta.get("annotations", {})
    worker: Json = next((c for c in status.get("containerStatuses", ()) if c["name"] == WORKER), {})
    state = worker.get("state", {})
    terminated = state.get("terminated")
    finished = status.get("phase") in {"Succeeded", "Failed"}
    conditions = {c["type"]: c["status"] for c in status.get("conditions", ())}
    owner: Json = next((o for o in meta.get("ownerReferences", ()) if o.get("controller")), {})
    created = parse_time(meta["creationTimestamp"])
    ended_at = terminated and terminated.get("finishedAt")
    started_at = (terminated or state.get("running") or {}).get("startedAt")
    recover = tuple(annotations.get(contract.RECOVER_RUNNERS, "").split())
    # An answer to what was not asked is no answer: a worker may not settle for others what they held.
    recovered = tuple(name for name in annotations.get(contract.RECOVERED_RUNNERS, "").split() if name in recover)
    return WorkerPod(
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        owner_uid=owner.get("uid", ""),
        created=created,
        template_hash=meta.get("labels", {}).get(labels.TEMPLATE_HASH, ""),
        terminating="deletionTimestamp" in meta,
        ended=bool(terminated) or finished,
        container_ended=bool(terminated),
        failed=terminated.get("exitCode") != 0 if terminated else status.get("phase") == "Failed",
        ended_at=parse_time(ended_at) if ended_at else None,
        container_started=bool(terminated) or "running" in state or bool(worker.get("lastState")),
        started_at=parse_time(started_at) if started_at else None,
        disrupted=conditions.get("DisruptionTarget") == "True" or status.get("reason") in _DISRUPTIONS,
        trouble=parse_trouble(status, state),
        ready=conditions.get("Ready") == "True",
        status=parse_status(annotations, created),
        drain_request=annotations.get(contract.DRAIN_REQUEST) or None,
        drain_answer=annotations.get(contract.DRAIN_ANSWER) or None,
        recover=recover,
        recovered=recovered,
        recovered_by=annotations.get(contract.RECOVERED_BY) or None,
        pynenc=annotations.get(contract.PYNENC_VERSION) or None,
    )


def parse_trouble(status: Json, state: Json) -> Trouble | None:
    """Read why a pod's worker can't run: its container's state, or that no node takes the pod."""
    waiting = state.get("waiting", {})
    reason = _SAME_TROUBLE.get(waiting.get("reason"), waiting.get("reason"))
    if reason and reason not in _COMING:
        return Trouble(reason, waiting.get("message", ""))
    terminated = state.get("terminated", {})
    if terminated and terminated.get("exitCode") != 0:
        cause, _, words = terminated.get("message", "").partition(": ")
        if cause == contract.QUEUES_UNSUPPORTED:
            return Trouble(cause, words)
        said = f"exit code {terminated.get('exitCode')} {terminated.get('message', '')}".strip()
        return Trouble(terminated.get("reason") or "Error", said)
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Trouble(condition.get("reason") or "Unschedulable", condition.get("message", ""))
    return None


def parse_status(annotations: Json, created: float) -> WorkerStatus | None:
    """Read a worker's report; None where there is none. What in it makes no sense is read as that it may be busy."""
    if annotations.keys().isdisjoint(_REPORT):
        return None
    try:
        state = contract.WorkerState(annotations.get(contract.WORKER_STATE, ""))
    except ValueError:
        state = contract.WorkerState.ACTIVE
    try:
        since = parse_time(annotations.get(contract.WORKER_STATE_SINCE, ""))
    except (ValueError, OverflowError, OSError):
        since = created
        state = contract.WorkerState.ACTIVE if state is contract.WorkerState.IDLE else state
    try:
        active = int(annotations.get(contract.ACTIVE_INVOCATIONS, "0"))
    except ValueError:
        active = _MOST_INVOCATIONS
    return WorkerStatus(since, min(max(active, 0), _MOST_INVOCATIONS), state)


def parse_spec(spec: Json) -> RunnerSpec:
    """Read what bears on scaling of a MultiThreadRunner's spec, and check the rest; the CRD has set the defaults.

    :raises SpecInvalid: a field is not what the CRD of this version allows
    """
    fields = Fields(spec)
    check_pod_fields(fields)
    broker_down = fields.maybe_within("onBrokerDown")
    return RunnerSpec(
        min_replicas=fields.integer("minReplicas"),
        max_replicas=fields.integer("maxReplicas"),
        enforce_max_replicas=fields.boolean("enforceMaxReplicas"),
        max_threads=fields.integer("maxThreads", 1),
        idle_timeout_seconds=fields.integer("idleTimeoutSeconds", 1),
        pin=fields.integer("replicas") if "replicas" in fields else None,
        mode=fields.one_of("mode", Mode),
        poll_interval_seconds=fields.integer("pollIntervalSeconds", 1),
        drain_timeout_seconds=fields.integer("drainTimeoutSeconds", 1),
        start_deadline_seconds=fields.integer("startDeadlineSeconds", 1) if "startDeadlineSeconds" in fields else None,
        scale_up=_parse_scale_up(fields.within("scaleUp")) if "scaleUp" in fields else None,
        broker_down=_parse_broker_down(broker_down) if "action" in broker_down else None,
        failed_pods_history_limit=fields.integer("failedPodsHistoryLimit"),
        max_surge=fields.within("rollout").integer("maxSurge"),
        queues=fields.texts("queues"),
    )


def _parse_scale_up(fields: Fields) -> ScaleUpLimit:
    return ScaleUpLimit(fields.integer("maxPods", 1), fields.integer("periodSeconds", 1))


def _parse_broker_down(fields: Fields) -> BrokerDownFloor | None:
    if fields.one_of("action", BrokerDownAction) is BrokerDownAction.HOLD:
        return None
    return BrokerDownFloor(fields.integer("replicas"), fields.integer("afterSeconds"))


def parse_failures(status: Json) -> Failures | None:
    """Read the failures that a runner's status remembers."""
    known = status.get("failures")
    return Failures(known["templateHash"], known["count"], parse_time(known["lastTime"])) if known else None


def parse_orphans(status: Json) -> Orphans | None:
    """Read the orphaned invocations that a runner's status remembers."""
    known = status.get("orphans")
    return Orphans(known["count"], parse_time(known["since"]), known.get("givenUp", False)) if known else None


def condition_since(runner_status: Json, kind: str, status: str) -> float | None:
    """Since when a condition has had a status; None if it has not."""
    for condition in runner_status.get("conditions", ()):
        if (condition["type"], condition["status"]) == (kind, status):
            return parse_time(condition["lastTransitionTime"])
    return None
