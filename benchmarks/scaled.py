"""KEDA's side: a ScaledObject over a Deployment, or a ScaledJob, that follows the same Redis list."""

from dataclasses import dataclass, field
from typing import Any, override

from benchmarks import keda, stock
from benchmarks.setups import AT_MOST, Setup, end_pods
from tests.e2e.kubernetes import apply, get, is_true, wait_until
from tests.e2e.pool import Pool
from tests.e2e.taskqueue import APP_ID

type Json = dict[str, Any]

API = "keda.sh/v1alpha1"


@dataclass(frozen=True)
class Tuning:
    """What is set of a ScaledObject; the rest is as by default."""

    name: str
    polling: int = 30  # seconds, KEDA's default
    spec: Json = field(default_factory=dict)


DEFAULT = Tuning("keda default")
TUNED = Tuning(
    "keda tuned",
    polling=1,
    spec={
        "pollingInterval": 1,
        "cooldownPeriod": 20,
        "advanced": {
            "horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}},
        },
    },
)


class ScaledObject(Setup):
    """A Deployment of stock runners, from 0 to as many as our pool may have."""

    def __init__(self, pool: Pool, tuning: Tuning) -> None:
        super().__init__(tuning.name, pool)
        self._tuning = tuning

    @property
    @override
    def settings(self) -> Json:
        spec = scaled_object(self.pool, self._tuning)["spec"]
        return {"kind": "ScaledObject", "spec": spec, "keda": keda.SETTINGS}

    @override
    def start(self) -> None:
        apply(stock.deployment(), self.pool.namespace)
        apply(scaled_object(self.pool, self._tuning), self.pool.namespace)
        until_ready(self.pool, "scaledobject")
        self.until_zero()

    @override
    def stop(self) -> None:
        self.pool.kubectl("delete", "scaledobject", stock.NAME, "--ignore-not-found")
        self.pool.kubectl("delete", "deployment", stock.NAME, "--ignore-not-found")
        end_pods(self, stock.SELECTOR)


class ScaledJob(Setup):
    """A Job for each task that waits, at most as many as our pool may have; polled each second.

    A stock runner never ends by itself, so that a Job would last for ever: oncerunner.py ends it when it has been idle.
    """

    def __init__(
        self, pool: Pool, name: str = "keda jobs", polling: int = 1, at_most: int = AT_MOST, pod: Json | None = None
    ) -> None:
        """`pod`: more of the pods' spec."""
        super().__init__(name, pool)
        self._polling = polling
        self._at_most = at_most
        self._pod = pod or {}

    @property
    @override
    def settings(self) -> Json:
        return {"kind": "ScaledJob", "spec": self._spec(), "keda": keda.SETTINGS, "runner": "benchmarks/oncerunner.py"}

    @override
    def start(self) -> None:
        apply(stock.once_configuration(), self.pool.namespace)
        meta = {"name": stock.NAME}
        apply({"apiVersion": API, "kind": "ScaledJob", "metadata": meta, "spec": self._spec()}, self.pool.namespace)
        until_ready(self.pool, "scaledjob")

    @override
    def stop(self) -> None:
        self.pool.kubectl("delete", "scaledjob", stock.NAME, "--ignore-not-found")
        # By one request: kubectl would make one for each.
        jobs = f"/apis/batch/v1/namespaces/{self.pool.namespace}/jobs?propagationPolicy=Background"
        self.pool.kubectl("delete", "--raw", jobs)
        end_pods(self, stock.SELECTOR)

    def _spec(self) -> Json:
        template = stock.once_template()
        template["spec"] |= self._pod
        return {
            "jobTargetRef": {"template": template, "backoffLimit": 6},
            "pollingInterval": self._polling,
            "maxReplicaCount": self._at_most,
            "triggers": [trigger(self.pool)],
        }


def scaled_object(pool: Pool, tuning: Tuning, name: str = stock.NAME, app_id: str = APP_ID) -> Json:
    """A ScaledObject over the Deployment of the same name."""
    target = {"scaleTargetRef": {"name": name}, "minReplicaCount": 0, "maxReplicaCount": AT_MOST}
    spec = {**target, "triggers": [trigger(pool, app_id)], **tuning.spec}
    return {"apiVersion": API, "kind": "ScaledObject", "metadata": {"name": name}, "spec": spec}


def trigger(pool: Pool, app_id: str = APP_ID) -> Json:
    """One pod for each entry of the queue's list."""
    metadata = {
        "address": f"redis.{pool.namespace}.svc:6379",
        "listName": f"__pynenc__:{app_id}:broker:default_queue",
        "listLength": "1",
    }
    return {"type": "redis", "metadata": metadata}


def until_ready(pool: Pool, kind: str) -> None:
    """Wait until KEDA follows the queue."""
    wait_until(lambda: is_true(get(kind, stock.NAME, "-n", pool.namespace), "Ready"), f"KEDA's {kind} is ready")
