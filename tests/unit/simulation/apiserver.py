"""The API server of the simulation: objects, revisions, preconditions and watches.

Everything here happens at once; how long a request or a watch takes is its caller's affair.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn

from pynenc_operator.conditions import rfc3339
from pynenc_operator.kube_errors import AlreadyExists, Conflict, KubeError, NotFound
from tests.unit.simulation.run import Run

type Json = dict[str, Any]
type Watcher = Callable[[str, Json], None]  # the event's type, and the object
type Witness = Callable[[str, Json, str], None]  # the verb, the pod and who asks; before it happens


class ApiServer:
    """One runner and its pods. An object is replaced, never changed: who holds one has a view of its time."""

    def __init__(self, run: Run, runner: Json) -> None:
        self.pods: dict[str, Json] = {}
        self.runner = runner
        self.pod_watchers: list[Watcher] = []
        self.runner_watchers: list[Watcher] = []
        self.witnesses: list[Witness] = []
        self.writes: Counter[tuple[str, str]] = Counter()  # by who and what
        self.reads: Counter[str] = Counter()
        self._run = run
        self._revision = 0
        self._made = 0

    @property
    def revision(self) -> int:
        """It grows with each change."""
        return self._revision

    def create_pod(self, body: Json, by: str) -> Json:
        name = body["metadata"]["name"]
        self.writes[by, "create"] += 1
        if name in self.pods:
            _refuse(AlreadyExists, "create", name)
        self._witness("create", body, by)
        self._made += 1
        meta = {
            **body["metadata"],
            "uid": f"uid-{self._made}",
            "creationTimestamp": rfc3339(self._run.now()),
        }
        self._run.note(by, "creates", name, meta["uid"])
        return self._store("ADDED", {**body, "metadata": meta, "status": {"phase": "Pending"}})

    def list_pods(self, by: str) -> list[Json]:
        self.reads[by] += 1
        self._witness("list", {}, by)
        return list(self.pods.values())

    def get_pod(self, name: str) -> Json:
        return self._pod("get", name, "", "")

    def create_event(self, body: Json, by: str) -> Json:
        self.writes[by, "event"] += 1
        return body

    def annotate_pod(
        self, name: str, changes: dict[str, str | None], by: str, revision: str = "", uid: str = ""
    ) -> Json:
        self.writes[by, "annotate"] += 1
        pod = self._pod("patch", name, revision, uid)
        meta = pod["metadata"]
        annotations = {**meta.get("annotations", {}), **changes}
        annotations = {key: value for key, value in annotations.items() if value is not None}
        if annotations == meta.get("annotations", {}):
            return pod
        self._witness("annotate", {**pod, "changes": changes}, by)
        self._run.note(by, "annotates", name, {key.partition("/")[2]: value for key, value in changes.items()})
        return self._store("MODIFIED", {**pod, "metadata": {**meta, "annotations": annotations}})

    def delete_pod(self, name: str, uid: str, revision: str, by: str) -> Json:
        """Delete gracefully; a pod that no node has taken is gone at once."""
        self.writes[by, "delete"] += 1
        pod = self._pod("delete", name, revision, uid)
        if "deletionTimestamp" in pod["metadata"]:
            return pod
        self._witness("delete", pod, by)
        self._run.note(by, "deletes", name, uid)
        if "nodeName" not in pod["spec"]:
            self.remove_pod(name, uid)
            return pod
        meta = {**pod["metadata"], "deletionTimestamp": rfc3339(self._run.now())}
        return self._store("MODIFIED", {**pod, "metadata": meta})

    def bind_pod(self, name: str, uid: str) -> None:
        pod = self.find_pod(name, uid)
        if pod:
            self._store("MODIFIED", {**pod, "spec": {**pod["spec"], "nodeName": "node"}})

    def set_pod_status(self, name: str, uid: str, status: Json) -> None:
        pod = self.find_pod(name, uid)
        if pod:
            self._store("MODIFIED", {**pod, "status": status})

    def remove_pod(self, name: str, uid: str) -> None:
        pod = self.find_pod(name, uid)
        if pod:
            del self.pods[name]
            self._revision += 1
            meta = {**pod["metadata"], "resourceVersion": str(self._revision)}
            self._tell(self.pod_watchers, "DELETED", {**pod, "metadata": meta})

    def find_pod(self, name: str, uid: str) -> Json | None:
        pod = self.pods.get(name)
        return pod if pod and pod["metadata"]["uid"] == uid else None

    def patch_runner_status(self, changes: Json, by: str) -> Json:
        self.writes[by, "status"] += 1
        self._run.note(by, "reports", {key: value for key, value in changes.items() if key != "conditions"})
        merged = {**self.runner.get("status", {}), **changes}
        status = {key: value for key, value in merged.items() if value is not None}
        return self._store_runner({**self.runner, "status": status})

    def change_spec(self, changes: Json) -> None:
        """What a user does; a field that is None is removed."""
        self._run.note("user", "sets", changes)
        merged = {**self.runner["spec"], **changes}
        meta = {**self.runner["metadata"], "generation": self.runner["metadata"]["generation"] + 1}
        spec = {key: value for key, value in merged.items() if value is not None}
        self._store_runner({**self.runner, "metadata": meta, "spec": spec})

    def _pod(self, verb: str, name: str, revision: str, uid: str) -> Json:
        pod = self.pods.get(name)
        if pod is None:
            _refuse(NotFound, verb, name)
        meta = pod["metadata"]
        if (uid and uid != meta["uid"]) or (revision and revision != meta["resourceVersion"]):
            _refuse(Conflict, verb, name)
        return pod

    def _store(self, kind: str, pod: Json) -> Json:
        self._revision += 1
        pod = {**pod, "metadata": {**pod["metadata"], "resourceVersion": str(self._revision)}}
        self.pods[pod["metadata"]["name"]] = pod
        self._tell(self.pod_watchers, kind, pod)
        return pod

    def _store_runner(self, runner: Json) -> Json:
        self._revision += 1
        meta = {**runner["metadata"], "resourceVersion": str(self._revision)}
        self.runner = runner = {**runner, "metadata": meta}
        self._tell(self.runner_watchers, "MODIFIED", runner)
        return runner

    def _witness(self, verb: str, pod: Json, by: str) -> None:
        for witness in self.witnesses:
            witness(verb, pod, by)

    @staticmethod
    def _tell(watchers: list[Watcher], kind: str, body: Json) -> None:
        for watcher in tuple(watchers):
            watcher(kind, body)


def _refuse(error: type[KubeError], verb: str, name: str) -> NoReturn:
    raise error("refused", verb=verb, resource="pods", name=name)
