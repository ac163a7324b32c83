"""Kubernetes events on a runner: one for each kind of deed, when it happens. Pure: the bodies only."""

from datetime import UTC, datetime
from typing import Any, Final

from pynenc_operator import labels
from pynenc_operator.model import Decision, Reason, WorkerPod

type Json = dict[str, Any]

_NOTE_LENGTH: Final = 1024  # the API's own limit on `note`


def event(runner: Json, now: float, reason: str, note: str, *, action: str, instance: str) -> Json:
    """Build an events.k8s.io/v1 Event about a runner. `reason` is why, `action` is what was done."""
    meta = runner["metadata"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta['name']}-", "namespace": meta["namespace"]},
        "eventTime": datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "reportingController": f"{labels.GROUP}/operator",
        "reportingInstance": instance,
        "type": "Normal",
        "reason": reason,
        "action": action,
        "note": note[:_NOTE_LENGTH],
        "regarding": {
            "apiVersion": f"{labels.GROUP}/{labels.VERSION}",
            "kind": labels.KIND,
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
        },
    }


def describe(decision: Decision, created: list[str], depth: int | None) -> list[tuple[str, str, str]]:
    """Put a carried-out decision into words: (reason, action, note) for each kind of deed."""
    queued = "queue depth unknown" if depth is None else f"{depth} queued"
    told: list[tuple[str, str, str]] = []
    if decision.create and created:
        told.append((decision.create.reason, "Create", f"created {_names(created)} ({queued})"))
    for reason, pods in _by_reason(decision.cancels):
        told.append((reason, "CancelDrain", f"took back the drain of {_names(pods)} ({queued})"))
    for reason, pods in _by_reason(decision.drains):
        told.append((reason, "Drain", f"asked {_names(pods)} to take no more work ({queued})"))
    for reason, pods in _by_reason(decision.deletes):
        told.append((reason, "Delete", f"deleted {_names(pods)}"))
    return told


def _by_reason(steps: tuple[Any, ...]) -> list[tuple[str, list[str]]]:
    groups: dict[Reason, list[str]] = {}
    for step in steps:
        pod: WorkerPod = step.pod
        groups.setdefault(step.reason, []).append(pod.name)
    return [(str(reason), names) for reason, names in groups.items()]


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
