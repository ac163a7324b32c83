"""A reconciler on a real API server. No kubelet and no worker runs there: the test plays both.

The queue is a number that the test sets: that the broker counts right is tested elsewhere, on Redis.
"""

import json
from dataclasses import replace
from typing import Any

from pynenc_operator import labels
from pynenc_operator.conditions import Problem, rfc3339
from pynenc_operator.depthwindow import DepthWindow
from pynenc_operator.kube import Kube
from pynenc_operator.model import Key, QueueDepth
from pynenc_operator.podcache import PodCache, RunnerCache
from pynenc_operator.podspec import build_worker_pod, service_account
from pynenc_operator.questions import Heartbeat, QueueCount
from pynenc_operator.queuedepth import Reading
from pynenc_operator.reconciler import Reconciler
from pynenc_worker import contract

type Json = dict[str, Any]


class SetDepths:
    """Queues whose depth is what the test says; None is a broker that does not answer."""

    def __init__(self) -> None:
        self.depth: int | None = 0
        self.orphaned = 0
        self.beats: list[Heartbeat] = []
        self.now = 1_000_000.0
        self._window = DepthWindow()

    async def read(self, key: Key, runner: Json, before: QueueDepth | None = None) -> Reading:  # noqa: ARG002
        if self.depth is None:
            return Reading(problem=Problem("Unreachable", "down"), down_since=self._window.failed(self.now))
        self.now += 3  # each count stands alone: no peak of an earlier one
        depth = self._window.counted(self.now, QueueCount(self.depth))
        if before is not None:
            depth = replace(depth, count=before.count, recount=self.depth)
        return Reading(depth=depth)

    async def held(self, key: Key) -> int | None:  # noqa: ARG002
        return self.orphaned

    async def heartbeats(self, key: Key, *runner_ids: str) -> tuple[Heartbeat, ...]:  # noqa: ARG002
        return tuple(beat for beat in self.beats if not runner_ids or beat.runner_id in runner_ids)

    async def invocations(self, key: Key) -> dict[str, int] | None:  # noqa: ARG002
        return None

    async def oldest(self, key: Key) -> float | None:  # noqa: ARG002
        return None

    def can_tell(self, key: Key) -> bool:  # noqa: ARG002
        return True

    def shows_entries(self, key: Key) -> bool:  # noqa: ARG002
        return True

    def will_tell(self, key: Key) -> bool:  # noqa: ARG002
        return False

    def shared(self, key: Key) -> Problem | None:  # noqa: ARG002
        return None

    def refresh(self, key: Key) -> None:
        pass

    def forget(self, key: Key) -> None:
        pass


class NoAccess:
    """Rights of workers, which nobody needs here."""

    def __init__(self) -> None:
        self.asked: list[str] = []  # for which ServiceAccount, each time

    async def ensure(self, key: Key, runner: Json) -> None:  # noqa: ARG002
        self.asked.append(service_account(runner["spec"]))


class Pool:
    """One runner, its reconciler, and the test's hands on its pods."""

    def __init__(self, kube: Kube, namespace: str, now: Any, name: str = "reports") -> None:
        self.kube = kube
        self.key = Key(namespace, name)
        self.skew = 0.0
        self._now = now
        self.restart()

    def restart(self) -> None:
        """Begin anew, with nothing remembered."""
        self.depths = SetDepths()
        self.access = NoAccess()
        self.pods = PodCache()
        self.runners = RunnerCache()
        self.reconciler = Reconciler(
            kube=self.kube,
            depths=self.depths,  # type: ignore[arg-type]
            access=self.access,  # type: ignore[arg-type]
            build_pod=build_worker_pod,
            pods=self.pods,
            runners=self.runners,
            now=self.now,
            resync_seconds=300,
            instance="test",
        )

    def now(self) -> float:
        """The API server's time, and what the test has let pass."""
        return float(self._now() + self.skew)

    async def look(self) -> float | None:
        """See what the watch would have shown, then reconcile once."""
        self.runners.put(await self.runner())
        for pod in await self.all():
            self.pods.apply_event({"type": "MODIFIED", "object": pod}, self.now())
        return await self.reconciler.reconcile(self.key)

    async def runner(self) -> Json:
        [found] = await self.kube.list_runners(self.key.namespace)
        return found

    async def all(self) -> list[Json]:
        found = await self.kube.list_pods(self.key.namespace, labels.workers_of(self.key.name))
        return sorted(found, key=lambda pod: int(pod["metadata"]["name"].rsplit("-", 1)[1]))

    async def names(self) -> list[str]:
        return [pod["metadata"]["name"] for pod in await self.all() if "deletionTimestamp" not in pod["metadata"]]

    async def asked_to_leave(self) -> list[str]:
        return [
            pod["metadata"]["name"]
            for pod in await self.all()
            if contract.DRAIN_REQUEST in pod["metadata"].get("annotations", {})
        ]

    async def fail(self, name: str, message: str) -> None:
        """Play a kubelet that can't start the worker's container."""
        ended = {"exitCode": 128, "reason": "StartError", "message": message, "finishedAt": rfc3339(self.now())}
        container = {"name": "worker", "state": {"terminated": ended}, "ready": False, "restartCount": 0}
        status = {"phase": "Failed", "containerStatuses": [{**container, "image": "x", "imageID": ""}]}
        await self.kube._patch("pods/status", "/api/v1", self.key.namespace, name, {"status": status})

    async def kill(self, name: str) -> None:
        """Play a worker that is killed long after its start, and the kubelet that says so."""
        ended: Json = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": rfc3339(self.now())}
        ended["startedAt"] = rfc3339(self.now() - 600)
        container = {"name": "worker", "state": {"terminated": ended}, "ready": False, "restartCount": 0}
        status = {"phase": "Failed", "containerStatuses": [{**container, "image": "x", "imageID": ""}]}
        await self.kube._patch("pods/status", "/api/v1", self.key.namespace, name, {"status": status})

    async def annotations(self, name: str) -> dict[str, str]:
        pod = await self.kube.get_pod(self.key.namespace, name)
        found: dict[str, str] = pod["metadata"].get("annotations", {})
        return found

    async def annotate(self, name: str, **notes: str) -> None:
        """Play a worker that says something more."""
        keys = {contract.PREFIX + note.replace("_", "-"): value for note, value in notes.items()}
        await self.kube._patch("pods/status", "/api/v1", self.key.namespace, name, {"metadata": {"annotations": keys}})

    async def status(self) -> Json:
        status: Json = (await self.runner()).get("status", {})
        return status

    async def condition(self, kind: str) -> tuple[str, str]:
        [found] = [c for c in (await self.status())["conditions"] if c["type"] == kind]
        return found["status"], found["reason"]

    async def report(self, name: str, state: str, *, threads: int = 0, idle_for: float = 0.0) -> None:
        """Play the kubelet and the worker: the container runs, and says this of itself."""
        pod = await self.kube.get_pod(self.key.namespace, name)
        container = {"name": "worker", "state": {"running": {}}, "ready": True, "restartCount": 0, "image": "x"}
        annotations: dict[str, str | None] = {
            contract.WORKER_STATE: state,
            contract.WORKER_STATE_SINCE: rfc3339(self.now() - idle_for),
            contract.ACTIVE_INVOCATIONS: str(threads),
        }
        if state == contract.WorkerState.DRAINED:
            annotations[contract.DRAIN_ANSWER] = pod["metadata"]["annotations"][contract.DRAIN_REQUEST]
        await self.kube._patch(
            "pods/status",
            "/api/v1",
            self.key.namespace,
            name,
            {
                "metadata": {"annotations": annotations},
                "status": {"phase": "Running", "containerStatuses": [{**container, "imageID": ""}]},
            },
        )


def manifest(name: str = "reports", **spec: Any) -> str:
    """A MultiThreadRunner for `kubectl apply`."""
    values: Json = {
        "app": "reports.tasks",
        "appId": "reports",
        "image": "registry.example/reports:1.4",
        "backend": {"redis": {"url": "redis://redis:6379"}},
        "startDeadlineSeconds": 100000,
        **spec,
    }
    return json.dumps(
        {
            "apiVersion": "pynenc.org/v1alpha1",
            "kind": "MultiThreadRunner",
            "metadata": {"name": name},
            "spec": values,
        }
    )
