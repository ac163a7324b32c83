"""One runner on the real cluster, with a Redis of its own: what a test does to it and asks of it."""

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError

from pynenc_operator import labels
from tests.cluster.paths import ROOT
from tests.e2e import observed, processes
from tests.e2e.history import PodHistory
from tests.e2e.kubernetes import PATIENCE, apply, get, kubectl, read, told, wait_until
from tests.e2e.release import OPERATOR, create_namespace
from tests.e2e.taskqueue import APP_ID, Task, TaskQueue
from tests.outcomes import Outcome

type Json = dict[str, Any]

NAME = "reports"
RECOVERS_WITHIN = 30.0  # seconds after a fault's end: what docs/reliability.md promises
NAMESPACES = "e2e-"  # how the names of the tests' namespaces begin


# What of examples/redis.yaml is different here: the image, and a probe that starts no process every two seconds.
LOCAL = {
    "docker.io/library/redis:7.2-alpine": "localhost/redis:trixie",
    "exec: {command: [redis-cli, ping]}": "tcpSocket: {port: redis}",
}


def local_redis() -> str:
    """examples/redis.yaml as it runs here."""
    manifest = (ROOT / "examples" / "redis.yaml").read_text()
    for there, here in LOCAL.items():
        assert there in manifest
        manifest = manifest.replace(there, here)
    return manifest


def clear() -> None:
    """Remove what an interrupted run has left, which would count as requests of this one."""
    for namespace in get("namespaces")["items"]:
        name = namespace["metadata"]["name"]
        if name.startswith(NAMESPACES):
            remove(name)


def remove(namespace: str) -> None:
    """Delete a test's namespace; its runner first: else the operator tries to make pods in a namespace that goes."""
    delete_runners(namespace)
    # Of a test that failed: busy workers would stay for their drain timeout, without the Redis that goes as well. The
    # kubelet does not always follow a grace that is shortened afterwards.
    for pod in get("pods", "-n", namespace, "-l", f"{labels.MANAGED_BY}={labels.MANAGED_BY_US}")["items"]:
        processes.end(pod["metadata"]["uid"])
    kubectl("delete", "namespace", namespace, "--wait=false", "--ignore-not-found")


def delete_runners(namespace: str) -> None:
    """Delete a namespace's runners by one request, where kubectl would make one for each of a thousand."""
    kubectl("delete", "--raw", f"/apis/{labels.GROUP}/{labels.VERSION}/namespaces/{namespace}/multithreadrunners")


class Pool:
    """The runner `reports` of a namespace of its own."""

    def __init__(
        self,
        name: str,
        redis_url: str = "",
        watch: Callable[[str], PodHistory] = PodHistory,
    ) -> None:
        """Make a namespace with a Redis, unless there is one elsewhere; `name` tells it from others of this run.

        `watch` begins the history of the namespace's pods.
        """
        self.namespace = f"{NAMESPACES}{os.getpid()}-{name}"
        self.began = time.time()
        create_namespace(self.namespace)
        self.history = watch(self.namespace)
        self._redis_url = redis_url or "redis://redis:6379"  # as the workers know it
        if not redis_url:
            self.kubectl("apply", "-f", "-", input=local_redis())
        self.queue = self._make_queue(redis_url or f"redis://redis.{self.namespace}.svc:6379")
        self.queue.until_ready()
        self.outcome = Outcome()
        self._names: list[str] = []
        self._fault_ended = 0.0

    def _make_queue(self, redis_url: str) -> TaskQueue:
        return TaskQueue(redis_url)

    def close(self) -> None:
        self.queue.close()
        self.history.close()
        try:
            observed.keep(self.namespace, self.began)
        finally:
            remove(self.namespace)

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        return kubectl("-n", self.namespace, *arguments, input=input)

    def apply(self, **spec: Any) -> None:
        """Apply the runner; what is not said here is as in examples/runner.yaml."""
        values: Json = {
            "app": "reports.tasks",
            "appId": APP_ID,
            "image": "localhost/pynenc-demo:dev",
            "backend": {"redis": {"url": self._redis_url}},
            "env": [{"name": "REPORTS_REDIS_URL", "value": self._redis_url}],
            "maxReplicas": 6,
            "idleTimeoutSeconds": 5,
            **spec,
        }
        meta = {"name": NAME}
        apply(
            {"apiVersion": "pynenc.org/v1alpha1", "kind": "MultiThreadRunner", "metadata": meta, "spec": values},
            self.namespace,
        )

    def change(self, **spec: Any) -> None:
        """Change some fields of the runner's spec; None takes one away."""
        self.kubectl("patch", "mtr", NAME, "--type=merge", "-p", json.dumps({"spec": spec}))

    def until_seen(self) -> None:
        """Wait until the operator has looked at the spec as it is now: news of a queue may be faster than of a spec."""

        def seen() -> bool:
            runner = self.runner()
            return bool(runner.get("status", {}).get("observedGeneration") == runner["metadata"]["generation"])

        wait_until(seen, "the operator has seen the spec")

    def enqueue(self, *tasks: Task) -> None:
        self._names += [task[2] for task in tasks]
        self.queue.enqueue(*tasks)

    def until_begun(self, *names: str, times: int = 1, seconds: float = PATIENCE) -> None:
        """Wait until each of these tasks has begun so many times."""
        begun = self.queue.executions
        wait_until(lambda: all(begun()[name] >= times for name in names), f"begun: {', '.join(names)}", seconds)

    def fault_is_over(self) -> None:
        """From here on the pool has to recover by itself."""
        self._fault_ended = time.monotonic()

    def until_recovered(self, condition: Callable[[], object], what: str, seconds: float = RECOVERS_WITHIN) -> None:
        """Wait until the pool is right again, and note how long that took from the fault's end."""
        wait_until(condition, what, self._fault_ended + seconds - time.monotonic())
        self.outcome.recovered = round(time.monotonic() - self._fault_ended, 1)

    def until_succeeded(self, *, again: tuple[str, ...] = (), why: str = "", seconds: float = PATIENCE) -> None:
        """Wait until every task that was enqueued has succeeded; each has then run once, but `again` twice.

        `why` those ran again is told in the table of faults.
        """
        wait_until(lambda: self.queue.succeeded() >= len(self._names), f"{len(self._names)} tasks succeed", seconds)
        times = {name: 1 + (name in again) for name in self._names}
        assert self.queue.executions() == times
        # pynenc writes the history just after the status.
        wait_until(lambda: {h[-1] for h in self.queue.histories().values()} <= {"success"}, "the histories end", 10)
        for name, history in self.queue.histories().items():
            assert history.count("running") == times[name], f"{name}: {history}"
        assert self.queue.unfinished() == 0
        self.outcome.tasks, self.outcome.executions, self.outcome.again = len(times), sum(times.values()), why

    def until_gone(self) -> None:
        """Wait until no worker pod is left, not even one on its way out."""
        wait_until(lambda: not self._workers(), "the pool is at zero")

    def pods(self) -> dict[str, Json]:
        """The worker pods that are not being deleted, by name."""
        return {pod["metadata"]["name"]: pod for pod in self._workers() if "deletionTimestamp" not in pod["metadata"]}

    def all_uids(self) -> set[str]:
        """The uids of all worker pods that there are now, those on their way out included."""
        return {pod["metadata"]["uid"] for pod in self._workers()}

    def states(self) -> list[str]:
        """What the workers say of themselves, in the order of their names."""
        notes = [pod["metadata"].get("annotations", {}) for _, pod in sorted(self.pods().items())]
        return [str(note.get("pynenc.org/worker-state", "")) for note in notes]

    def until_states(self, *states: str) -> None:
        wait_until(lambda: self.states() == list(states), f"the workers are {', '.join(states)}")

    def runner(self) -> Json:
        return read(f"/apis/{labels.GROUP}/{labels.VERSION}/namespaces/{self.namespace}/multithreadrunners/{NAME}")

    def status(self) -> Json:
        status: Json = self.runner().get("status", {})
        return status

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition of the runner."""
        found = [c for c in self.status().get("conditions", ()) if c["type"] == kind]
        return (found[0]["status"], found[0]["reason"]) if found else ("", "")

    def said(self, kind: str) -> str:
        """The message of a condition of the runner."""
        return "".join(c["message"] for c in self.status().get("conditions", ()) if c["type"] == kind)

    def signal(self, pod: str, number: signal.Signals) -> None:
        """Send a signal to the worker's process in a pod, which needs no agreement of the API server."""
        processes.send(self.pods()[pod]["metadata"]["uid"], "pynenc_worker", number)

    def events(self) -> list[tuple[str, str, str]]:
        """(reason, action, note) of the runner's events, the first one first."""
        found = read(f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events")["items"]
        ours = [event for event in found if event["regarding"].get("kind") == "MultiThreadRunner"]
        return [(e["reason"], e["action"], e["note"]) for e in sorted(ours, key=lambda event: str(event["eventTime"]))]

    def remove_by_force(self, pod: str) -> None:
        """Take a pod away at once: as an object, and its processes, which may outlive it otherwise."""
        uid = self.pods()[pod]["metadata"]["uid"]
        self.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
        processes.end(uid)

    def diagnosis(self) -> str:
        """What one needs to see why a test has failed."""
        here = ("-n", self.namespace)
        logs = ("--tail=30", "--prefix", "--max-log-requests=20", "-l", f"pynenc.org/runner={NAME}")
        parts = [
            told("kubectl", "get", "mtr,pods", "-o", "wide", *here),
            told("kubectl", "get", "mtr", NAME, "-o", "yaml", *here),
            told("kubectl", "get", "events.events.k8s.io", "--sort-by=.metadata.creationTimestamp", *here),
            OPERATOR.diagnosis(),
            told("kubectl", "logs", *logs, *here),
            "pods, as they were seen:",
            *map(str, self.history.all()),
        ]
        try:
            parts += [f"tasks: {self.queue.histories()}", *map(str, self.queue.begun())]
        except (AssertionError, OSError, RedisError) as error:
            parts.append(f"the queue does not answer: {error}")
        return "\n".join(parts)

    def _workers(self) -> list[Json]:
        selector = f"{labels.RUNNER}%3D{NAME}".replace("/", "%2F")
        found: list[Json] = read(f"/api/v1/namespaces/{self.namespace}/pods?labelSelector={selector}")["items"]
        return found
