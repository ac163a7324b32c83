"""Lines as the demo's streams bring them."""

import json
from typing import Any

from examples.demo.observed import Observed
from examples.demo.streams import EVENTS, LOG, PODS, RUNNERS, Line

UID = "runner-uid"


def pod(kind: str, name: str, state: str | None = None, **more: Any) -> dict[str, Any]:
    """A watch event about a pod that last reported `state`."""
    annotations = {} if state is None else {"pynenc.org/worker-state": state}
    if state:
        annotations["pynenc.org/worker-state-since"] = "2026-01-01T00:00:00Z"
    annotations |= more.get("annotations", {})
    meta = {
        "name": name,
        "uid": f"uid of {name}",
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": annotations,
        **more.get("metadata", {}),
    }
    return {"type": kind, "object": {"metadata": meta, "status": more.get("status", {})}}


def event(name: str, at: str, uid: str = UID) -> dict[str, Any]:
    """A watch event about an event on a runner."""
    return {
        "type": "ADDED",
        "object": {
            "metadata": {"name": name},
            "eventTime": at,
            "reason": "QueueDepth",
            "note": f"note of {name}",
            "regarding": {"kind": "MultiThreadRunner", "uid": uid},
        },
    }


class Feed:
    """Feeds an Observed with what a test says happened."""

    def __init__(self) -> None:
        self.seen = Observed(UID)

    def pods(self, at: float, *changes: dict[str, Any]) -> None:
        self._take(PODS, at, *changes)

    def events(self, at: float, *changes: dict[str, Any]) -> None:
        self._take(EVENTS, at, *changes)

    def runner(self, at: float, uid: str = UID, **status: Any) -> None:
        self._take(RUNNERS, at, {"type": "MODIFIED", "object": {"metadata": {"uid": uid}, "status": status}})

    def log(self, at: float, *said: dict[str, Any] | str) -> None:
        for what in said:
            self.seen.take(Line(LOG, at, what if isinstance(what, str) else json.dumps(what)))

    def restart(self, stream: str, at: float) -> None:
        self.seen.take(Line(stream, at, None))

    def _take(self, stream: str, at: float, *changes: dict[str, Any]) -> None:
        for change in changes:
            self.seen.take(Line(stream, at, json.dumps(change)))
