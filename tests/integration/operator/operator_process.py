"""The operator as a process of its own, on a real API server."""

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.scrape import samples
from tests.cluster.half_cluster import HalfCluster

WITHIN = 90.0  # seconds for a step of the operator, on a loaded machine


class Operator:
    """The operator's process, as the administrator, for one namespace."""

    def __init__(
        self,
        cluster: HalfCluster,
        namespace: str,
        folder: Path,
        program: tuple[str, ...] = ("-m", "pynenc_operator"),
        kubeconfig: Path | None = None,
        **more: str,
    ) -> None:
        """`program`: Python's arguments; `kubeconfig`: another way to the API server; `more`: of its environment."""
        self.namespace = namespace
        self._log = folder / "operator.log"
        settings = {
            "KUBECONFIG": str(kubeconfig or cluster.kubeconfig),
            "PYNENC_OPERATOR_WATCH_NAMESPACES": namespace,
            "PYNENC_OPERATOR_LEASE_NAMESPACE": namespace,
            "PYNENC_OPERATOR_WORKER_CLUSTER_ROLE": "workers",
            "PYNENC_OPERATOR_ALLOW_LOCAL_BACKENDS": "true",
            "PYNENC_OPERATOR_ADDRESS": "127.0.0.1",
            "PYNENC_OPERATOR_PORT": "0",
        }
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *program],
                cwd=folder,
                env=os.environ | settings | more,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def end(self) -> None:
        """Kill it, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=10)

    def ask(self, path: str, timeout: float = 10) -> tuple[int, str]:
        """HTTP status and body of an answer of its server; 0 if there is none, as before it has started."""
        assert self.process.poll() is None, self.log()
        port = re.search(r"metrics on port (\d+)", self.log())
        if not port:
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}{path}", timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def scrape(self) -> str:
        """What /metrics says; empty before it can be asked."""
        return self.ask("/metrics")[1]

    def of_runner(self, name: str, **labels: str) -> float | None:
        """One sample of the runner; None if there is none."""
        return self.value(name, runner="reports", runner_namespace=self.namespace, **labels)

    def value(self, name: str, **labels: str) -> float | None:
        """One sample; None if there is none."""
        found = samples(self.scrape(), f"pynenc_operator_{name}")
        return next((float(sample.value) for sample in found if sample.labels == labels), None)

    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    def until(self, what: str, happened: Callable[[], bool], within: float = WITHIN) -> None:
        deadline = time.monotonic() + within
        while not happened():
            assert time.monotonic() < deadline, f"in {within:.0f} s: not {what}\n{self.log()}"
            time.sleep(0.2)
