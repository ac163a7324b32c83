"""What the watch has shown of runners and their pods: slim views, kept per runner.

The cache only decides whether to look: a stale view costs a LIST, never a wrong deed. A LIST of one
runner's pods replaces its slice, and one of all pods drops what is not in it, so that nothing that a
watch has missed stays for ever. What is shown counts by its resourceVersion, so that a slow answer does
not undo what the watch has shown since.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from pynenc_operator import labels
from pynenc_operator.model import Key, WorkerPod
from pynenc_operator.resource import parse_pod

type Json = dict[str, Any]

# No answer is waited for that long.
_ON_THEIR_WAY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Vanished:
    """A worker whose pod is gone though it owned something. `ended`: its container was seen to end."""

    uid: str
    owner_uid: str
    ended: bool


class PodCache:
    """Slim views of worker pods, by runner; of each pod the newest that was shown, by whatever way."""

    def __init__(self) -> None:
        self._pods: dict[Key, dict[str, WorkerPod]] = {}
        self._runner_of: dict[str, Key] = {}  # by the pod's uid
        self._starts: dict[Key, float] = {}
        self._deleted: dict[Key, dict[str, float]] = {}  # uids, and when the watch has said so
        self._listed: set[str | None] = set()  # namespaces, or None for all
        self._vanished: dict[Key, dict[str, Vanished]] = {}

    def of(self, key: Key) -> tuple[WorkerPod, ...]:
        """The pods that carry this runner's label, whoever owns them."""
        return tuple(self._pods.get(key, {}).values())

    def apply_event(self, event: Json, now: float) -> Key | None:
        """Take a watch event in; the runner to look at, or None where nothing that matters has changed."""
        body = event["object"]
        new = parse_pod(body)
        runner = body["metadata"].get("labels", {}).get(labels.RUNNER)
        key = Key(body["metadata"]["namespace"], runner) if runner else None
        before = self._runner_of.get(new.uid)
        if before and before != key:  # somebody has changed its labels: to that runner it is gone
            self._note_deleted(before, new.uid, now)
            self._drop(before, self._pods[before][new.name])
            if key and event.get("type") != "DELETED":
                self._take(key, new, now)  # the runner that the label names sees it at its next look
            return before
        if key is None:
            return None
        old = self._pods.get(key, {}).get(new.name)
        if event.get("type") == "DELETED":
            if old is not None:
                self._note_deleted(key, new.uid, now)
            return key if self._drop(key, new) else None
        if not self._take(key, new, now):
            return None
        unchanged = old is not None and replace(old, resource_version=new.resource_version) == new
        return None if unchanged else key

    def put(self, key: Key, pod: Json, now: float) -> None:
        """Take in a pod as an answer to a write shows it, before the watch does."""
        view = parse_pod(pod)
        if view.uid not in self._deleted.get(key, {}):
            self._take(key, view, now)

    def is_whole(self, key: Key) -> bool:
        """Whether all pods have been listed once, so that what is not known is not there."""
        return None in self._listed or key.namespace in self._listed

    def known(self, namespace: str | None) -> dict[str, str]:
        """Uids and versions of all pods known now, of one namespace or of all: what `retain` needs of before a LIST."""
        keys = [key for key in self._pods if namespace in (None, key.namespace)]
        return {pod.uid: pod.resource_version for key in keys for pod in self.of(key)}

    def retain(self, namespace: str | None, known: dict[str, str], listed: set[str]) -> set[Key]:
        """Drop pods that were known before all were listed, are not among them, and of which nothing was heard since.

        Returns their runners. `listed`: uids.
        """
        self._listed.add(namespace)
        changed: set[Key] = set()
        for uid in known.keys() - listed:
            key = self._runner_of.get(uid)
            pod = next((pod for pod in self.of(key) if pod.uid == uid), None) if key else None
            if key and pod and pod.resource_version == known[uid]:
                self._drop(key, pod)
                changed.add(key)
        return changed

    def list_begins(self, key: Key) -> dict[str, str]:
        """Uids and versions of the pods known now: what `replace` needs to tell what came while the LIST was made."""
        return {pod.uid: pod.resource_version for pod in self.of(key)}

    def replace(self, key: Key, pods: Iterable[Json], known: dict[str, str], now: float) -> None:
        """Make a runner's slice what a LIST shows, but for what the watch has shown since that LIST began.

        A view from before is replaced whatever its version: after a restored backup of etcd they begin lower again.
        """
        listed = [parse_pod(pod) for pod in pods]
        deleted = self._deleted.get(key, {})
        there = {view.uid for view in listed}
        for view in self.of(key):
            if view.uid in known and view.uid not in there:
                self._drop(key, view)
        for view in listed:
            if view.uid not in deleted:
                self._take(key, view, now, older_than=known.get(view.uid))

    def vanished(self, key: Key) -> tuple[Vanished, ...]:
        """Workers that went without a word."""
        return tuple(self._vanished.get(key, {}).values())

    def settle(self, key: Key, uids: Iterable[str]) -> None:
        """Drop vanished workers that hold nothing any more, or never did."""
        for uid in uids:
            self._vanished.get(key, {}).pop(uid, None)

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a runner that is gone, or not known yet: its pods stay for as long as they are."""
        memories: tuple[dict[Key, Any], ...] = (self._starts, self._deleted, self._vanished)
        for memory in memories:
            memory.pop(key, None)

    def take_start(self, key: Key) -> float | None:
        """The slowest start seen since the last call: seconds from a pod's creation to its first report."""
        return self._starts.pop(key, None)

    def _note_deleted(self, key: Key, uid: str, now: float) -> None:
        """Remember it for as long as an answer from before may be on its way."""
        recent = {one: at for one, at in self._deleted.get(key, {}).items() if now - at < _ON_THEIR_WAY_SECONDS}
        self._deleted[key] = recent | {uid: now}

    def _take(self, key: Key, new: WorkerPod, now: float, older_than: str | None = None) -> bool:
        """Take a view in, unless a newer one is known; resource versions grow with each write."""
        old = self._pods.get(key, {}).get(new.name)
        outdated = old is not None and old.resource_version == older_than
        if old is not None and not outdated and int(new.resource_version) <= int(old.resource_version):
            return False
        self.settle(key, [new.uid])
        if old is not None and old.uid != new.uid:
            self._drop(key, old)
        self._pods.setdefault(key, {})[new.name] = new
        self._runner_of[new.uid] = key
        if old is not None and old.uid == new.uid and old.status is None and new.status is not None:
            self._starts[key] = max(self._starts.get(key, 0.0), now - new.created)
        return True

    def _drop(self, key: Key, last: WorkerPod) -> bool:
        """Drop a pod that is gone; `last` is how it was seen last."""
        pods = self._pods.get(key, {})
        known = pods.get(last.name)
        if known is None or known.uid != last.uid:
            return False
        del pods[last.name]
        if not pods:
            del self._pods[key]
        self._runner_of.pop(last.uid, None)
        if last.owns and not last.recovered_by:
            self._vanished.setdefault(key, {})[last.uid] = Vanished(last.uid, last.owner_uid, last.container_ended)
        return True


class RunnerCache:
    """MultiThreadRunners as the watch last showed them."""

    def __init__(self) -> None:
        self._runners: dict[Key, Json] = {}
        self.specs_seen = 0  # how many that were new, or other than before: by their author or by the definition

    def apply_event(self, event: Json) -> Key | None:
        """Take a watch event in; the runner to look at, or None where only its status is another: our own word."""
        body = event["object"]
        key = _key_of(body)
        if event.get("type") == "DELETED":
            self._runners.pop(key, None)
            return key
        before = self._runners.get(key)
        self.put(body)
        return None if same_wish(before, self._runners[key]) else key

    def get(self, key: Key) -> Json | None:
        """The runner's object, or None if it is gone."""
        return self._runners.get(key)

    def put(self, runner: Json) -> None:
        """Take in a runner, unless a newer version of it is known."""
        meta, key = runner["metadata"], _key_of(runner)
        known = self._runners.get(key, {}).get("metadata", {})
        same = known.get("uid") == meta["uid"]
        if not same or int(meta.get("resourceVersion", 0)) >= int(known.get("resourceVersion", 0)):
            self._take(key, runner)

    def known(self, namespace: str | None = None) -> dict[Key, Json]:
        """The runners of one namespace or of all, as they are known now: what `replace` needs of before a LIST."""
        return {key: runner for key, runner in self._runners.items() if namespace in (None, key.namespace)}

    def replace(self, known: dict[Key, Json], listed: Iterable[Json]) -> set[Key]:
        """Make of what was `known` before a LIST what it shows; the keys that are gone, new or wanted otherwise.

        What has been heard since the request went out is newer, and holds.
        """
        fresh = {_key_of(runner): runner for runner in listed}
        unheard = {key for key in known.keys() | fresh.keys() if self._runners.get(key) is known.get(key)}
        for key in unheard - fresh.keys():
            del self._runners[key]
        for key, runner in fresh.items():
            if key in unheard:
                self._take(key, runner)
            elif key in self._runners:  # else it was deleted meanwhile
                self.put(runner)
        return {key for key in unheard if not same_wish(known.get(key), fresh.get(key))}

    def items(self) -> Iterable[tuple[Key, Json]]:
        """All runners, by key."""
        return tuple(self._runners.items())

    def _take(self, key: Key, runner: Json) -> None:
        self.specs_seen += self._runners.get(key, {}).get("spec") != runner["spec"]
        self._runners[key] = runner


def _key_of(runner: Json) -> Key:
    return Key(runner["metadata"]["namespace"], runner["metadata"]["name"])


def same_wish(one: Json | None, other: Json | None) -> bool:
    """Whether the same is wanted of a runner in two versions of it; one that is not there wants something else."""
    return one is not None and other is not None and _wanted(one) == _wanted(other)


def _wanted(runner: Json) -> tuple[Any, ...]:
    """What of a runner is not ours. The spec beside its generation: a changed definition shows another without one."""
    meta = runner["metadata"]
    return meta["uid"], meta.get("generation"), meta.get("deletionTimestamp"), runner["spec"]
