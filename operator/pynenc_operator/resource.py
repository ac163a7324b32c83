"""Reading Kubernetes objects, as the API server gives them, into the words of `model`. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pynenc_operator import labels
from pynenc_operator.model import Failures, Orphans, Trouble, WorkerPod, WorkerStatus
from pynenc_operator.podspec import WORKER
from pynenc_operator.runnerspec import BrokerDownFloor, Mode, RunnerSpec, ScaleUpLimit
from pynenc_worker import contract

type Json = dict[str, Any]

# A pod's reasons to end that are not its own fault, where no condition says so.
_DISRUPTIONS: Final = frozenset({"Evicted", "NodeShutdown", "Terminated", "Preempting"})
# A waiting container that is only on its way.
_COMING: Final = frozenset({"ContainerCreating", "PodInitializing"})
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
    ended_at = terminated and terminated.get("finishedAt")
    started_at = (terminated or state.get("running") or {}).get("startedAt")
    return WorkerPod(
        name=meta["name"],
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        owner_uid=owner.get("uid", ""),
        created=parse_time(meta["creationTimestamp"]),
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
        status=parse_status(annotations),
        drain_request=annotations.get(contract.DRAIN_REQUEST) or None,
        drain_answer=annotations.get(contract.DRAIN_ANSWER) or None,
        recover=tuple(annotations.get(contract.RECOVER_RUNNERS, "").split()),
        recovered=tuple(annotations.get(contract.RECOVERED_RUNNERS, "").split()),
        recovered_by=annotations.get(contract.RECOVERED_BY) or None,
    )


def parse_trouble(status: Json, state: Json) -> Trouble | None:
    """Read why a pod's worker can't run: its container's state, or that no node takes the pod."""
    waiting = state.get("waiting", {})
    reason = _SAME_TROUBLE.get(waiting.get("reason"), waiting.get("reason"))
    if reason and reason not in _COMING:
        return Trouble(reason, waiting.get("message", ""))
    terminated = state.get("terminated", {})
    if terminated and terminated.get("exitCode") != 0:
        said = f"exit code {terminated.get('exitCode')} {terminated.get('message', '')}".strip()
        return Trouble(terminated.get("reason") or "Error", said)
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Trouble(condition.get("reason") or "Unschedulable", condition.get("message", ""))
    return None


def parse_status(annotations: Json) -> WorkerStatus | None:
    """Read a worker's report; None where there is none, or none that makes sense."""
    try:
        return WorkerStatus(
            last_update=parse_time(annotations[contract.WORKER_STATE_SINCE]),
            active_count=int(annotations.get(contract.ACTIVE_INVOCATIONS, "0")),
            state=contract.WorkerState(annotations[contract.WORKER_STATE]),
        )
    except (KeyError, ValueError):
        return None


def parse_spec(spec: Json) -> RunnerSpec:
    """Read what bears on scaling of a MultiThreadRunner's spec; the CRD has set the defaults."""
    scale_up, broker_down = spec.get("scaleUp"), spec.get("onBrokerDown", {})
    return RunnerSpec(
        min_replicas=spec["minReplicas"],
        max_replicas=spec["maxReplicas"],
        enforce_max_replicas=spec["enforceMaxReplicas"],
        max_threads=spec["maxThreads"],
        idle_timeout_seconds=spec["idleTimeoutSeconds"],
        pin=spec.get("replicas"),
        mode=Mode(spec["mode"]),
        poll_interval_seconds=spec["pollIntervalSeconds"],
        drain_timeout_seconds=spec["drainTimeoutSeconds"],
        start_deadline_seconds=spec.get("startDeadlineSeconds"),
        scale_up=ScaleUpLimit(scale_up["maxPods"], scale_up["periodSeconds"]) if scale_up else None,
        broker_down=BrokerDownFloor(broker_down["replicas"], broker_down["afterSeconds"])
        if broker_down.get("action") == "Replicas"
        else None,
        failed_pods_history_limit=spec["failedPodsHistoryLimit"],
        max_surge=spec["rollout"]["maxSurge"],
    )


def parse_failures(status: Json) -> Failures | None:
    """Read the failures that a runner's status remembers."""
    known = status.get("failures")
    return Failures(known["templateHash"], known["count"], parse_time(known["lastTime"])) if known else None


def parse_orphans(status: Json) -> Orphans | None:
    """Read the orphaned invocations that a runner's status remembers."""
    known = status.get("orphans")
    return Orphans(known["count"], parse_time(known["since"])) if known else None


def condition_since(runner_status: Json, kind: str, status: str) -> float | None:
    """Since when a condition has had a status; None if it has not."""
    for condition in runner_status.get("conditions", ()):
        if (condition["type"], condition["status"]) == (kind, status):
            return parse_time(condition["lastTransitionTime"])
    return None
