"""Our side: the operator as the chart installs it, and a MultiThreadRunner."""

from typing import Any, override

from benchmarks.setups import AT_MOST, Setup
from pynenc_operator import labels
from tests.e2e.kubernetes import kubectl, wait_until
from tests.e2e.pool import NAME, Pool
from tests.e2e.release import OPERATOR

type Json = dict[str, Any]

IDLE_SECONDS = 5


def install() -> None:
    """Install the operator with the images of this checkout."""
    kubectl("delete", "lease", OPERATOR.name, "-n", OPERATOR.namespace, "--ignore-not-found")
    OPERATOR.install()


def runner(name: str, app_id: str) -> Json:
    """One of many runners, of an app of its own on the namespace's Redis."""
    redis = {"redis": {"url": "redis://redis:6379"}}
    what = {"app": "reports.tasks", "appId": app_id, "image": "localhost/pynenc-demo:dev", "backend": redis}
    return {
        "apiVersion": f"{labels.GROUP}/{labels.VERSION}",
        "kind": "MultiThreadRunner",
        "metadata": {"name": name},
        "spec": {**what, "maxReplicas": AT_MOST},
    }


class Ours(Setup):
    """A MultiThreadRunner with one thread a pod; what is not said is as by default."""

    def __init__(self, pool: Pool, name: str = "ours", **spec: Any) -> None:
        super().__init__(name, pool)
        self._spec: Json = {"maxReplicas": AT_MOST, "maxThreads": 1, "idleTimeoutSeconds": IDLE_SECONDS, **spec}

    @property
    @override
    def settings(self) -> Json:
        return {"kind": "MultiThreadRunner", "spec": self._spec, "installed": "by the chart, as by default"}

    @override
    def start(self) -> None:
        self.pool.apply(**self._spec)
        counted = ("True", "Counted")
        wait_until(lambda: self.pool.condition("BrokerReachable") == counted, "the operator counts the queue")

    @override
    def stop(self) -> None:
        self.pool.kubectl("delete", "mtr", NAME, "--ignore-not-found")
        self.until_zero()

    @override
    def restart(self) -> None:
        """Back to zero, by itself: nothing of the runner is touched."""
        self.until_zero()
