"""The node of the simulation: it starts pods, or does not, stops them, and says late what it did."""

from dataclasses import dataclass, field
from typing import Any

from pynenc_operator.conditions import rfc3339
from pynenc_operator.podspec import WORKER
from pynenc_worker import contract
from tests.unit.simulation.apiserver import ApiServer
from tests.unit.simulation.run import Lane, Run
from tests.unit.simulation.scenario import Scenario
from tests.unit.simulation.taskqueue import Broker
from tests.unit.simulation.worker import Worker

type Json = dict[str, Any]

CRASHED = 1
KILLED = 137


@dataclass(slots=True)
class _Pod:
    """What the node knows of a pod."""

    name: str
    uid: str
    image: str
    grace: float
    max_threads: int
    drain_timeout: float
    podinfo: Lane  # from its annotations to its worker
    statuses: Lane  # from its container to the API server
    started_at: str = ""  # when its container started; empty before
    stopping: bool = False
    ended: bool = False
    worker: Worker | None = None
    requests: list[str] = field(default_factory=lambda: ["", ""])


class Kubelet:
    """All pods' node. A pod's fate is drawn when it is made; only pods made before `calm` come to grief."""

    def __init__(self, run: Run, server: ApiServer, broker: Broker, scenario: Scenario) -> None:
        self.pods: dict[str, _Pod] = {}  # by uid
        self.deaths = 0
        self.last_death = float("-inf")
        self._run = run
        self._server = server
        self._broker = broker
        self._scenario = scenario
        server.pod_watchers.append(self._watch)

    def busy(self, uid: str) -> bool:
        """Whether this pod's worker holds or runs anything, whatever it has reported."""
        pod = self.pods.get(uid)
        return bool(pod and pod.worker and pod.worker.busy)

    def executed(self, uid: str) -> int:
        """How many invocations it has begun."""
        pod = self.pods.get(uid)
        return pod.worker.executed if pod and pod.worker else 0

    def kill(self, name: str) -> None:
        """SIGKILL, or out of memory."""
        self._kill(self._named(name))

    def hang(self, name: str) -> None:
        """Its loop stands still; its reporter's thread goes on."""
        pod = self._named(name)
        if pod.worker:
            self._run.note(pod.uid, "hangs")
            pod.worker.hangs = True

    def _named(self, name: str) -> _Pod:
        return next(pod for pod in self.pods.values() if pod.name == name and not pod.ended)

    def _watch(self, kind: str, body: Json) -> None:
        uid = body["metadata"]["uid"]
        if kind == "ADDED":
            self._take(body)
        elif kind == "MODIFIED" and uid in self.pods:
            self._changed(self.pods[uid], body)
        elif kind == "DELETED":
            self.pods[uid].ended = True

    def _take(self, body: Json) -> None:
        meta, spec, fates = body["metadata"], self._server.runner["spec"], self._scenario.fates
        pod = self.pods[meta["uid"]] = _Pod(
            meta["name"],
            meta["uid"],
            body["spec"]["containers"][0]["image"],
            grace=body["spec"]["terminationGracePeriodSeconds"],
            max_threads=spec["maxThreads"],
            drain_timeout=spec["drainTimeoutSeconds"],
            podinfo=Lane(self._run),
            statuses=Lane(self._run),
        )
        troubled = self._run.time < self._scenario.calm
        if troubled and self._run.chance(fates.never_bound):
            return
        self._run.after(self._run.timing.bind, self._server.bind_pod, pod.name, pod.uid)
        if troubled and self._run.chance(fates.never_starts):
            return
        self._run.after(self._run.timing.start, self._start, pod, troubled)

    def _start(self, pod: _Pod, troubled: bool) -> None:  # noqa: FBT001 - a callback's argument
        if pod.ended or pod.stopping:
            return
        pod.started_at = rfc3339(self._run.now())
        self._run.note(pod.uid, "starts", pod.name)
        self._tell(pod, {"running": {"startedAt": pod.started_at}}, "Running")
        fates = self._scenario.fates
        broken = pod.image in self._scenario.broken_images
        if broken or (troubled and self._run.chance(fates.crashes)):
            self._run.after((0.1, 3.0), self._end, pod, CRASHED)
        elif not (troubled and self._run.chance(fates.never_reports)):
            self._run.after(self._run.timing.load, self._load, pod)
            if troubled and self._run.chance(fates.dies):
                self._run.after((5.0, 60.0), self._die, pod)

    def _load(self, pod: _Pod) -> None:
        body = self._server.find_pod(pod.name, pod.uid)
        if pod.ended or pod.stopping or body is None:
            return
        pod.worker = Worker(
            self._run,
            self._server,
            self._broker,
            body,
            max_threads=pod.max_threads,
            drain_timeout=pod.drain_timeout,
            cautious=self._scenario.cautious_workers,
            on_exit=lambda code: self._end(pod, code),
        )

    def _changed(self, pod: _Pod, body: Json) -> None:
        annotations = body["metadata"].get("annotations", {})
        requests = [annotations.get(key, "") for key in (contract.DRAIN_REQUEST, contract.RECOVER_RUNNERS)]
        if requests != pod.requests:
            pod.requests = requests
            pod.podinfo.after(self._run.timing.podinfo, self._read, pod, body)
        if "deletionTimestamp" in body["metadata"] and not pod.stopping:
            pod.stopping = True
            self._run.after(self._run.timing.stop, self._stop, pod)

    def _read(self, pod: _Pod, body: Json) -> None:
        if pod.worker and not pod.ended:
            pod.worker.podinfo(body)

    def _stop(self, pod: _Pod) -> None:
        if not pod.started_at or pod.ended:
            self._run.after(self._run.timing.remove, self._server.remove_pod, pod.name, pod.uid)
        elif pod.worker is None:
            self._end(pod, 0)  # a signal during the import ends it
        else:
            self._run.after((pod.grace, pod.grace), self._kill, pod)
            pod.worker.stop()

    def _die(self, pod: _Pod) -> None:
        if pod.worker and self._run.time < self._scenario.calm:
            self._kill(pod)

    def _kill(self, pod: _Pod) -> None:
        if pod.worker and not pod.ended:
            self._run.note(pod.uid, "is killed")
            self.deaths += 1
            self.last_death = self._run.time
            pod.worker.kill()
            self._end(pod, KILLED)

    def _end(self, pod: _Pod, code: int) -> None:
        if pod.ended:
            return
        pod.ended = True
        self._run.note(pod.uid, "ends", code)
        terminated = {"exitCode": code, "startedAt": pod.started_at, "finishedAt": rfc3339(self._run.now())}
        self._tell(pod, {"terminated": terminated}, "Failed" if code else "Succeeded")
        if pod.stopping:
            self._run.after(self._run.timing.remove, self._server.remove_pod, pod.name, pod.uid)

    def _tell(self, pod: _Pod, state: Json, phase: str) -> None:
        """The kubelet's status, in order and late."""
        container = {"name": WORKER, "state": state}
        ready = {"type": "Ready", "status": "True" if phase == "Running" else "False"}
        status = {"phase": phase, "conditions": [ready], "containerStatuses": [container]}
        pod.statuses.after(self._run.timing.status, self._server.set_pod_status, pod.name, pod.uid, status)
