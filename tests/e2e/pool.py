"""One runner on the real cluster, with a Redis of its own: what a test does to it and asks of it."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis

from tests.cluster.paths import ROOT

type Json = dict[str, Any]
type Task = tuple[str, float, str]  # short or long, seconds, name

APP_ID = "reports"
RESTRICTED = ("enforce", "warn")


def kubectl(*arguments: str, input: str | None = None, check: bool = True) -> str:  # noqa: A002
    done = subprocess.run(
        ["kubectl", *arguments], input=input, capture_output=True, text=True, check=False, timeout=120
    )
    if check and done.returncode:
        raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
    return done.stdout + (done.stderr if done.returncode else "")


def get(*arguments: str) -> Json:
    found: Json = json.loads(kubectl("get", *arguments, "-o", "json"))
    return found


def wait_until[T](condition: Callable[[], T], what: str, seconds: float = 120) -> T:
    """Wait for a condition to be true; what it answered then."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)
    return answer


class Pool:
    """The runner `reports` of a namespace of its own."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.redis_host = f"redis.{namespace}.svc"

    def create(self) -> None:
        """Make the namespace and its Redis."""
        kubectl("create", "namespace", self.namespace)
        levels = [f"pod-security.kubernetes.io/{mode}=restricted" for mode in RESTRICTED]
        kubectl("label", "namespace", self.namespace, *levels)
        manifest = (ROOT / "examples" / "redis.yaml").read_text()
        local = manifest.replace("docker.io/library/redis:7.2-alpine", "localhost/redis:trixie")
        assert local != manifest
        self.kubectl("apply", "-f", "-", input=local)
        self.kubectl("rollout", "status", "deployment/redis", "--timeout=60s")

    def delete(self) -> None:
        kubectl("delete", "namespace", self.namespace, "--wait=false")

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> str:  # noqa: A002
        return kubectl("-n", self.namespace, *arguments, input=input, check=check)

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
        manifest = {
            "apiVersion": "pynenc.org/v1alpha1",
            "kind": "MultiThreadRunner",
            "metadata": {"name": "reports"},
            "spec": values,
        }
        self.kubectl("apply", "-f", "-", input=json.dumps(manifest))

    def enqueue(self, *tasks: Task) -> None:
        """Call tasks from a producer's process."""
        url = f"redis://{self.redis_host}:6379"
        parts = {"broker": "Broker", "orchestrator": "Orchestrator", "state_backend": "StateBackend"}
        parts |= {"trigger": "Trigger", "client_data_store": "ClientDataStore"}
        environment = {
            **os.environ,
            **{f"PYNENC__{name.upper()}_CLS": f"Redis{kind}" for name, kind in parts.items()},
            "PYNENC__APP_ID": APP_ID,
            "PYNENC__REDIS_URL": url,
            "REPORTS_REDIS_URL": url,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "examples")]),
        }
        command = [sys.executable, "-m", "tests.e2e.producer", json.dumps(tasks)]
        done = subprocess.run(
            command, env=environment, cwd=Path("/"), capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr

    def redis(self) -> Redis:
        return Redis(host=self.redis_host, socket_timeout=5)

    def executions(self) -> Counter[str]:
        """How often each task has begun."""
        with self.redis() as redis:
            return Counter(json.loads(line)["name"] for line in redis.lrange("demo:executions", 0, -1))

    def where(self, name: str) -> str:
        """The pod in which a task has begun."""
        with self.redis() as redis:
            lines = [json.loads(line) for line in redis.lrange("demo:executions", 0, -1)]
        return next((str(line["pod"]) for line in lines if line["name"] == name), "")

    def count(self, status: str) -> int:
        """How many invocations have a pynenc status, from the index that its Redis plugin keeps."""
        with self.redis() as redis:
            return int(redis.scard(f"__pynenc__:{APP_ID}:orchestrator:status:{status}"))

    def queued(self) -> int:
        with self.redis() as redis:
            return int(redis.llen(f"__pynenc__:{APP_ID}:broker:default_queue"))

    def pods(self) -> dict[str, Json]:
        """The worker pods that are not being deleted, by name."""
        found = get("pods", "-n", self.namespace, "-l", "pynenc.org/runner=reports")["items"]
        return {pod["metadata"]["name"]: pod for pod in found if "deletionTimestamp" not in pod["metadata"]}

    def gone(self) -> bool:
        """Whether no worker pod is left, not even one on its way out."""
        return not get("pods", "-n", self.namespace, "-l", "pynenc.org/runner=reports")["items"]

    def annotations(self, pod: str) -> dict[str, str]:
        found: dict[str, str] = get("pod", pod, "-n", self.namespace)["metadata"].get("annotations", {})
        return found

    def states(self) -> dict[str, str]:
        """What each worker says of itself."""
        return {
            name: pod["metadata"].get("annotations", {}).get("pynenc.org/worker-state", "")
            for name, pod in self.pods().items()
        }

    def status(self) -> Json:
        status: Json = get("mtr", "reports", "-n", self.namespace).get("status", {})
        return status

    def reasons(self) -> set[str]:
        """The reasons of the runner's events."""
        events = get("events.events.k8s.io", "-n", self.namespace)["items"]
        return {event["reason"] for event in events if event["regarding"].get("kind") == "MultiThreadRunner"}

    def diagnosis(self) -> str:
        """What one needs to see why a test has failed."""
        parts = [
            self.kubectl("get", "mtr,pods", "-o", "wide", check=False),
            self.kubectl("get", "mtr", "reports", "-o", "jsonpath={.status}", check=False),
            self.kubectl("get", "events.events.k8s.io", "--sort-by=.metadata.creationTimestamp", check=False),
            kubectl("logs", "-n", "pynenc-system", "deploy/pynenc-operator", "--tail=60", check=False),
        ]
        parts += [
            f"--- {name}\n" + self.kubectl("logs", name, "--tail=30", check=False) for name in list(self.states())[:4]
        ]
        return "\n".join(parts)
