"""The witness of a run: what must hold at each write, and the figures of the whole.

Live pods are bounded by rule 3, exactly: a pod is created only while there are fewer live pods than the
maximum, but for those that *another* operator has created since this one listed the pods, and for
`maxSurge` while pods of an older template live. With one operator there are none: never above.
"""

from collections import Counter, deque
from typing import Any

from pynenc_operator.labels import TEMPLATE_HASH
from pynenc_operator.model import DrainCause, DrainRequest
from pynenc_operator.pool import DRAIN_ANSWER_SECONDS, LEAST_START_DEADLINE_SECONDS
from pynenc_operator.resource import parse_pod
from pynenc_worker.contract import DRAIN_REQUEST, RECOVER_RUNNERS, WorkerState
from tests.unit.simulation.apiserver import ApiServer
from tests.unit.simulation.kubelet import Kubelet
from tests.unit.simulation.run import BusyPodDeletedError, Run, ViolationError
from tests.unit.simulation.scenario import Outcome, Scenario

type Json = dict[str, Any]

USER = "user"
# A changed maximum reaches a decision through the watch, a recount and the requests before.
SPEC_SECONDS = 30.0


class Audit:
    """Watches the API server from inside."""

    def __init__(self, run: Run, server: ApiServer, kubelet: Kubelet, scenario: Scenario) -> None:
        self.outcome = Outcome()
        self._run = run
        self._server = server
        self._kubelet = kubelet
        self._stale = SPEC_SECONDS + max((end - begin for begin, end in scenario.watch_stalls), default=0.0)
        self._live: dict[str, str] = {}  # uid to template hash
        self._since = 0.0
        self._caps: deque[tuple[float, int]] = deque([(float("inf"), cap_of(server.runner))])  # until when, which
        self._listed: dict[str, Counter[str]] = {}  # what each operator's last LIST was made after
        self._created: Counter[str] = Counter()  # by operator
        server.witnesses.append(self._witness)
        server.pod_watchers.append(self._watch)
        server.runner_watchers.append(self._spec)

    def _witness(self, verb: str, pod: Json, by: str) -> None:
        if verb == "list":
            self._listed[by] = Counter(self._created)
        elif verb == "create":
            self._creates(pod, by)
        elif verb == "delete":
            self._deletes(pod, by)
        elif pod["changes"].get(DRAIN_REQUEST):
            self._asks(pod)
        elif pod["changes"].get(RECOVER_RUNNERS):
            self.outcome.named += 1

    def _creates(self, pod: Json, by: str) -> None:
        seen = self._listed.get(by, Counter())
        others = sum(made - seen[who] for who, made in self._created.items() if who != by)
        old = any(template != pod["metadata"]["labels"][TEMPLATE_HASH] for template in self._live.values())
        surge = self._server.runner["spec"]["rollout"]["maxSurge"] if old else 0
        bound = self._highestcap_of() + others + surge
        if len(self._live) >= bound:
            raise ViolationError(f"{by} creates pod number {len(self._live) + 1} of at most {bound}")
        self._created[by] += 1
        self.outcome.creations.append((self._run.time, pod["spec"]["containers"][0]["image"]))

    def _deletes(self, body: Json, by: str) -> None:
        if by == USER:
            return
        pod, now, spec = parse_pod(body), self._run.now(), self._server.runner["spec"]
        drain = pod.drain
        overdue = drain and now > drain.asked + spec["drainTimeoutSeconds"] + DRAIN_ANSWER_SECONDS
        if self._kubelet.busy(pod.uid) and not overdue:
            raise BusyPodDeletedError(f"busy pod {pod.name} ({pod.uid}) is deleted")
        kind = "ended" if pod.ended else pod.status.state.value if pod.status else "unreported"
        self.outcome.deletes[kind] += 1
        deadline = spec.get("startDeadlineSeconds", LEAST_START_DEADLINE_SECONDS)
        given_up = pod.status is None and now - pod.created > deadline
        self.outcome.scale_downs += not (pod.ended or given_up or overdue)

    def _asks(self, body: Json) -> None:
        request = DrainRequest.parse(body["changes"][DRAIN_REQUEST])
        self.outcome.drains[request.cause] += 1
        pod, timeout = parse_pod(body), self._server.runner["spec"]["idleTimeoutSeconds"]
        says_idle = pod.status is not None and pod.status.state is WorkerState.IDLE
        idle = says_idle and pod.status is not None and self._run.now() - pod.status.last_update > timeout
        if request.cause is DrainCause.IDLE and not idle:
            raise ViolationError(f"{pod.name} ({pod.uid}) is asked to leave for idleness and says {pod.status}")

    def _highestcap_of(self) -> int:
        while len(self._caps) > 1 and self._caps[0][0] < self._run.time - self._stale:
            self._caps.popleft()
        return max(cap for _, cap in self._caps)

    def _spec(self, kind: str, runner: Json) -> None:
        del kind
        cap = cap_of(runner)
        if cap != self._caps[-1][1]:
            self._caps[-1] = self._run.time, self._caps[-1][1]
            self._caps.append((float("inf"), cap))

    def _watch(self, kind: str, body: Json) -> None:
        meta, before = body["metadata"], len(self._live)
        self.outcome.pod_seconds += before * (self._run.time - self._since)
        self._since = self._run.time
        ended = body["status"]["phase"] in {"Succeeded", "Failed"}
        if kind == "DELETED" or ended or "deletionTimestamp" in meta:
            self._live.pop(meta["uid"], None)
        else:
            self._live[meta["uid"]] = meta["labels"][TEMPLATE_HASH]
        self.outcome.peak = max(self.outcome.peak, len(self._live))


def cap_of(runner: Json) -> int:
    spec = runner["spec"]
    cap: int = spec.get("replicas", spec["maxReplicas"])
    return cap
