"""Kubernetes events on a runner: one for each kind of deed, when it happens. Pure: the bodies only."""

from datetime import UTC, datetime
from typing import Any, Final

from pynenc_operator import labels
from pynenc_operator.decision import CancelDrain, Delete, Drain, Mark, Name, Step
from pynenc_operator.reason import Reason

type Json = dict[str, Any]

NORMAL: Final = "Normal"
_NOTE_LENGTH: Final = 1024  # the API's own limit on `note`


def event(runner: Json, now: float, reason: str, note: str, *, action: str, instance: str, kind: str = NORMAL) -> Json:
    """Build an events.k8s.io/v1 Event about a runner. `reason` is why, `action` is what was done."""
    meta = runner["metadata"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta['name']}-", "namespace": meta["namespace"]},
        "eventTime": datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "reportingController": f"{labels.GROUP}/operator",
        "reportingInstance": instance,
        "type": kind,
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


_DEEDS: Final = {
    CancelDrain: ("CancelDrain", "took back the drain of"),
    Drain: ("Drain", "asked to take no more work:"),
    Delete: ("Delete", "deleted"),
    Name: ("Recover", "dead workers' invocations are handed on by"),
    Mark: ("Recover", "handed on what was held by"),
}
_MORE: Final = {
    Reason.DRAIN_TIMEOUT: "; at spec.drainTimeoutSeconds what still ran was handed back to the queue, to run again",
}


def describe(created: list[str], why: Reason, done: list[Step], depth: int | None) -> list[tuple[str, str, str]]:
    """Put what was done into words: (reason, action, note) for each kind of deed. `why` pods were created."""
    queued = "queue depth unknown" if depth is None else f"{depth} queued"
    told = [(str(why), "Create", f"created {_names(created)} ({queued})")] if created else []
    groups: dict[tuple[type[Step], Reason], list[str]] = {}
    for step in done:
        if isinstance(step, Name) and not step.runner_ids:
            continue  # an answer was read: what it was about has been told
        groups.setdefault((type(step), step.reason), []).append(step.pod.name)
    for (kind, reason), names in groups.items():
        action, words = _DEEDS[kind]
        told.append((str(reason), action, f"{words} {_names(names)}{_MORE.get(reason, '')} ({queued})"))
    return told


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
