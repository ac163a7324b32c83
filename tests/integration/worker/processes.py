"""The processes that a test starts: a worker and a producer, of one line of pynenc."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pynenc_worker import contract
from tests.cluster.paths import ROOT
from tests.integration.rabbitmq_server import plugin_settings
from tests.integration.worker.kubernetes_api import KubernetesApi
from tests.integration.worker.pod import Pod

HERE = Path(__file__).parent
# A loaded machine with two cores; what is waited for comes within a second or two.
PATIENCE = 60.0


def eventually(condition: Callable[[], Any], what: str, within: float = PATIENCE) -> Any:
    """Wait until the condition holds; its value."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
        time.sleep(0.05)
    return value


@dataclass(frozen=True)
class Line:
    """One pynenc release with a backend that it works on."""

    python: Path
    backend: str
    url: str
    folder: Path  # of one test
    store_url: str = ""  # of the Redis beside a RabbitMQ
    app_id: str = "under-test"
    settings: dict[str, str] = field(default_factory=dict)  # more variables for the producer

    def environment(self) -> dict[str, str]:
        """What producer and worker have in common."""
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        paths = os.pathsep.join((str(ROOT / "worker-image"), str(HERE / "app")))
        return {
            **kept,
            "PYTHONPATH": paths,
            "PYTHONDONTWRITEBYTECODE": "1",
            "JOBS_FOLDER": str(self.folder),
            "PYNENC__APP_ID": self.app_id,
        }

    def executions(self, what: str = "start") -> list[str]:
        """The names of the tasks that began or ended, once per execution."""
        file = self.folder / "executions"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.partition(" ")[2] for line in lines if line.partition(" ")[0] == what]

    def open_gate(self, name: str) -> None:
        """Let a task of this name end."""
        (self.folder / f"gate-{name}").touch()


class Producer:
    """Enqueues and asks, with the line's own pynenc."""

    def __init__(self, line: Line) -> None:
        environment = line.environment()
        environment["PYTHONPATH"] += os.pathsep + str(HERE / "elsewhere")
        prefix = {"redis": "Redis", "rabbitmq": "Redis", "mongodb": "Mongo", "sqlite": "SQLite"}[line.backend]
        for part in ("Orchestrator", "Broker", "StateBackend", "Trigger", "ClientDataStore"):
            variable = "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(part)).upper()
            environment[f"PYNENC__{variable}_CLS"] = prefix + part
        if line.backend == "rabbitmq":
            environment |= {"PYNENC__REDIS_URL": line.store_url, **plugin_settings(line.url, line.app_id)}
        else:
            variable = {"redis": "REDIS_URL", "mongodb": "MONGO_URL", "sqlite": "SQLITE_DB_PATH"}[line.backend]
            environment[f"PYNENC__{variable}"] = line.url
        environment["PYNENC__LOGGING_LEVEL"] = "warning"
        self._process = subprocess.Popen(
            [str(line.python), str(HERE / "producer.py")],
            env={**environment, **line.settings},
            cwd=line.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, operation: str, **arguments: Any) -> Any:
        """Ask one thing."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"operation": operation, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the producer failed; its error is above"
        return json.loads(answer)

    def call(self, task: str, module: str = "jobs", **args: Any) -> str:
        """Enqueue one invocation."""
        return str(self("call", module=module, task=task, args=args))

    def succeeded(self, invocation_id: str) -> bool:
        return bool(self("status", invocation_id=invocation_id) == "success")

    def close(self) -> None:
        self._process.kill()
        self._process.wait(timeout=10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class Worker:
    """`python -m pynenc_worker` for one pod."""

    def __init__(
        self, line: Line, pod: Pod, api: KubernetesApi, *, wrapper: tuple[str, ...] = (), **settings: str
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.metrics_port = free.getsockname()[1]
        self.pod = pod
        self._log = line.folder / f"{pod.name}.log"
        environment = {
            **line.environment(),
            contract.ENV_APP: "jobs",
            contract.ENV_BACKEND: line.backend,
            contract.ENV_BACKEND_URL: line.url,
            contract.ENV_STORE_URL: line.store_url,
            contract.ENV_QUEUE_PREFIX: line.app_id,
            contract.ENV_DRAIN_TIMEOUT: "300",
            contract.ENV_METRICS_PORT: str(self.metrics_port),
            contract.ENV_POD_NAME: pod.name,
            contract.ENV_POD_NAMESPACE: pod.namespace,
            contract.ENV_POD_UID: pod.uid,
            "PYNENC_WORKER_METRICS_ADDRESS": "127.0.0.1",
            "PYNENC_WORKER_SERVICEACCOUNT_DIR": str(pod.serviceaccount),
            "PYNENC_WORKER_PODINFO_DIR": str(pod.podinfo),
            "PYNENC_WORKER_BACKEND_DIR": str(line.folder / "backend"),
            "KUBERNETES_SERVICE_HOST": api.host,
            "KUBERNETES_SERVICE_PORT": str(api.port),
            "PYNENC__CONFIGTHREADRUNNER__MIN_THREADS": "1",
            "PYNENC__CONFIGTHREADRUNNER__MAX_THREADS": "1",
            **settings,
        }
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*wrapper, str(line.python), "-m", "pynenc_worker"],
                env=environment,
                cwd=line.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def says(self, state: str) -> None:
        """Wait until the pod's worker-state is this one."""
        eventually(lambda: self._alive_or_fail() and self.pod.state() == state, f"{self.pod.name} says {state}")

    def _alive_or_fail(self) -> bool:
        code = self.process.poll()
        assert code in (None, 0), f"the worker ended with {code}:\n{self.log()}"
        return True

    def sigterm(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)

    def exit_code(self, within: float = PATIENCE) -> int:
        """Wait for its end."""
        try:
            return self.process.wait(timeout=within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.pod.name} still runs after {within:.0f} s:\n{self.log()}") from None

    def get(self, path: str) -> tuple[int, str]:
        """Ask its metrics port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()


def show(workers: list[Worker]) -> None:
    """Print the logs; pytest shows them when a test fails."""
    for worker in workers:
        sys.stdout.write(f"--- {worker.pod.name}\n{worker.log()}")
