"""What the watch has shown of runners and their pods: slim views, kept per runner.

The cache only decides whether to look: a stale view costs a LIST, never a wrong deed. A LIST replaces
a runner's slice, so that nothing that a watch has missed stays for ever.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pynenc_operator import labels
from pynenc_operator.model import Key, WorkerPod
from pynenc_operator.resource import parse_pod

type Json = dict[str, Any]


class PodCache:
    """Slim views of worker pods, by runner."""

    def __init__(self) -> None:
        self._pods: dict[Key, dict[str, WorkerPod]] = {}
        self._starts: dict[Key, float] = {}

    def of(self, key: Key) -> tuple[WorkerPod, ...]:
        """The pods that carry this runner's label, whoever owns them."""
        return tuple(self._pods.get(key, {}).values())

    def apply_event(self, event: Json, now: float) -> Key | None:
        """Take a watch event in; the runner to look at, or None where nothing that matters has changed."""
        body = event["object"]
        runner = body["metadata"].get("labels", {}).get(labels.RUNNER)
        if not runner:
            return None
        key = Key(body["metadata"]["namespace"], runner)
        pods = self._pods.setdefault(key, {})
        old = pods.get(body["metadata"]["name"])
        if event.get("type") == "DELETED":
            return key if pods.pop(body["metadata"]["name"], None) else None
        new = parse_pod(body)
        pods[new.name] = new
        self._learn_start(key, old, new, now)
        unchanged = old is not None and replace(old, resource_version=new.resource_version) == new
        return None if unchanged else key

    def put(self, key: Key, pod: Json) -> None:
        """Take in a pod as an answer to a write shows it, before the watch does."""
        view = parse_pod(pod)
        self._pods.setdefault(key, {})[view.name] = view

    def replace(self, key: Key, pods: Iterable[Json], now: float) -> None:
        """Make a runner's slice what a LIST shows."""
        old = self._pods.get(key, {})
        self._pods[key] = {view.name: view for view in map(parse_pod, pods)}
        for name, view in self._pods[key].items():
            self._learn_start(key, old.get(name), view, now)

    def forget(self, key: Key) -> None:
        """Drop a runner that is gone."""
        self._pods.pop(key, None)
        self._starts.pop(key, None)

    def take_start(self, key: Key) -> float | None:
        """The slowest start seen since the last call: seconds from a pod's creation to its first report."""
        return self._starts.pop(key, None)

    def _learn_start(self, key: Key, old: WorkerPod | None, new: WorkerPod, now: float) -> None:
        first_report = old is not None and old.uid == new.uid and old.status is None and new.status is not None
        if first_report:
            self._starts[key] = max(self._starts.get(key, 0.0), now - new.created)


class RunnerCache:
    """MultiThreadRunners as the watch last showed them."""

    def __init__(self) -> None:
        self._runners: dict[Key, Json] = {}

    def apply_event(self, event: Json) -> Key:
        """Take a watch event in; the runner to look at."""
        body = event["object"]
        key = Key(body["metadata"]["namespace"], body["metadata"]["name"])
        if event.get("type") == "DELETED":
            self._runners.pop(key, None)
        else:
            self._runners[key] = body
        return key

    def get(self, key: Key) -> Json | None:
        """The runner's object, or None if it is gone."""
        return self._runners.get(key)

    def put(self, runner: Json) -> None:
        """Take in a runner as an answer to a write shows it."""
        self._runners[Key(runner["metadata"]["namespace"], runner["metadata"]["name"])] = runner

    def replace(self, runners: Iterable[Json]) -> set[Key]:
        """Make the whole cache what a LIST shows; the keys that are gone or were not known."""
        fresh = {Key(r["metadata"]["namespace"], r["metadata"]["name"]): r for r in runners}
        changed = set(self._runners) ^ set(fresh)
        self._runners = fresh
        return changed

    def items(self) -> Iterable[tuple[Key, Json]]:
        """All runners, by key."""
        return tuple(self._runners.items())
