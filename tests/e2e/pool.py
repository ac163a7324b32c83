"""One runner on the real cluster, with a Redis of its own: what a test does to it and asks of it."""

import json
import os
from typing import Any

from redis.exceptions import RedisError

from tests.cluster.paths import ROOT
from tests.e2e import release
from tests.e2e.history import PodHistory
from tests.e2e.kubernetes import apply, get, kubectl, told, wait_until
from tests.e2e.taskqueue import APP_ID, Task, TaskQueue

type Json = dict[str, Any]

NAME = "reports"
NAMESPACES = "e2e-"  # how the names of the tests' namespaces begin


def clear() -> None:
    """Remove what an interrupted run has left, which would count as requests of this one."""
    for namespace in get("namespaces")["items"]:
        name = namespace["metadata"]["name"]
        if name.startswith(NAMESPACES):
            remove(name)


def remove(namespace: str) -> None:
    """Delete a test's namespace; its runner first: else the operator tries to make pods in a namespace that goes."""
    kubectl("delete", "mtr", "--all", "-n", namespace)
    kubectl("delete", "namespace", namespace, "--wait=false", "--ignore-not-found")


class Pool:
    """The runner `reports` of a namespace of its own."""

    def __init__(self, name: str) -> None:
        """Make a namespace with a Redis; `name` tells it from others of this run."""
        self.namespace = f"{NAMESPACES}{os.getpid()}-{name}"
        release.create_namespace(self.namespace)
        self.history = PodHistory(self.namespace)
        self.queue = TaskQueue(f"redis.{self.namespace}.svc")
        manifest = (ROOT / "examples" / "redis.yaml").read_text()
        local = manifest.replace("docker.io/library/redis:7.2-alpine", "localhost/redis:trixie")
        assert local != manifest
        self.kubectl("apply", "-f", "-", input=local)
        self.queue.until_ready()
        self._names: list[str] = []

    def close(self) -> None:
        self.queue.close()
        self.history.close()
        remove(self.namespace)

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002
        return kubectl("-n", self.namespace, *arguments, input=input)

    def apply(self, **spec: Any) -> None:
        """Apply the runner; what is not said here is as in examples/runner.yaml."""
        values: Json = {
            "app": "reports.tasks",
            "appId": APP_ID,
            "image": "localhost/pynenc-demo:dev",
            "backend": {"redis": {"url": "redis://redis:6379"}},
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

    def enqueue(self, *tasks: Task) -> None:
        self._names += [task[2] for task in tasks]
        self.queue.enqueue(*tasks)

    def until_begun(self, *names: str) -> None:
        """Wait until these tasks run, or have run."""
        wait_until(lambda: set(names) <= set(self.queue.executions()), f"begun: {', '.join(names)}")

    def until_succeeded(self) -> None:
        """Wait until every task that was enqueued has succeeded; each has then run once."""
        wait_until(lambda: self.queue.succeeded() >= len(self._names), f"{len(self._names)} tasks succeed")
        assert self.queue.executions() == dict.fromkeys(self._names, 1)
        for name, history in self.queue.histories().items():
            assert (history.count("running"), history[-1]) == (1, "success"), f"{name}: {history}"

    def until_gone(self) -> None:
        """Wait until no worker pod is left, not even one on its way out."""
        wait_until(lambda: not get("pods", *self._workers())["items"], "the pool is at zero")

    def pods(self) -> dict[str, Json]:
        """The worker pods that are not being deleted, by name."""
        found = get("pods", *self._workers())["items"]
        return {pod["metadata"]["name"]: pod for pod in found if "deletionTimestamp" not in pod["metadata"]}

    def states(self) -> list[str]:
        """What the workers say of themselves, in the order of their names."""
        notes = [pod["metadata"].get("annotations", {}) for _, pod in sorted(self.pods().items())]
        return [str(note.get("pynenc.org/worker-state", "")) for note in notes]

    def until_states(self, *states: str) -> None:
        wait_until(lambda: self.states() == list(states), f"the workers are {', '.join(states)}")

    def status(self) -> Json:
        status: Json = get("mtr", NAME, "-n", self.namespace).get("status", {})
        return status

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition of the runner."""
        found = [c for c in self.status().get("conditions", ()) if c["type"] == kind]
        return (found[0]["status"], found[0]["reason"]) if found else ("", "")

    def events(self) -> list[tuple[str, str, str]]:
        """(reason, action, note) of the runner's events, the first one first."""
        found = get("events.events.k8s.io", "-n", self.namespace)["items"]
        ours = [event for event in found if event["regarding"].get("kind") == "MultiThreadRunner"]
        return [(e["reason"], e["action"], e["note"]) for e in sorted(ours, key=lambda event: str(event["eventTime"]))]

    def diagnosis(self) -> str:
        """What one needs to see why a test has failed."""
        here = ("-n", self.namespace)
        logs = ("--tail=30", "--prefix", "--max-log-requests=20", "-l", f"pynenc.org/runner={NAME}")
        parts = [
            told("kubectl", "get", "mtr,pods", "-o", "wide", *here),
            told("kubectl", "get", "mtr", NAME, "-o", "yaml", *here),
            told("kubectl", "get", "events.events.k8s.io", "--sort-by=.metadata.creationTimestamp", *here),
            release.diagnosis(),
            told("kubectl", "logs", *logs, *here),
            "pods, as they were seen:",
            *map(str, self.history.all()),
        ]
        try:
            parts += [f"tasks: {self.queue.histories()}", *map(str, self.queue.begun())]
        except (AssertionError, RedisError) as error:
            parts.append(f"the queue does not answer: {error}")
        return "\n".join(parts)

    def _workers(self) -> tuple[str, ...]:
        return ("-n", self.namespace, "-l", f"pynenc.org/runner={NAME}")
