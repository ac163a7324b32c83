"""What is known of the demo at a moment, put together from the lines of its streams. Pure."""

import json
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from examples.demo.client import Json
from examples.demo.streams import EVENTS, LOG, PODS, RUNNERS, Line
from pynenc_operator import labels
from pynenc_operator.resource import parse_pod
from pynenc_worker.contract import WorkerState

# A line of the producer's log that took no longer than this shows that its clock is ours.
SAME_CLOCK = 0.5


class PodState(StrEnum):
    """What a pod is to the demo's table."""

    STARTING = "starting"
    IDLE = "idle"
    ACTIVE = "active"
    DRAINING = "draining"
    TERMINATING = "terminating"
    ENDED = "ended"


@dataclass(frozen=True)
class Doing:
    """Something that the operator did, by its event on the runner."""

    at: str  # RFC 3339
    reason: str
    note: str


@dataclass(frozen=True)
class Execution:
    """One time that a task began, as the app itself recorded it; `started` by the cluster's clock."""

    name: str
    pod: str
    started: float


@dataclass(frozen=True)
class Final:
    """A task's end, as pynenc has it; `at` by the cluster's clock."""

    status: str
    at: float


@dataclass
class Observed:
    """The demo so far. Times are Unix seconds by this machine's clock, but for those of the producer's log."""

    runner_uid: str
    pods: dict[str, PodState] = field(default_factory=dict)
    pods_seen: set[str] = field(default_factory=set)  # uids
    peak_pods: int = 0  # neither ended nor terminating
    first_pod_at: float | None = None
    emptied_at: float | None = None  # when the last pod went, while there is none
    status: Json = field(default_factory=dict)
    doings: dict[str, Doing] = field(default_factory=dict)  # by the event's name
    tasks: list[str] = field(default_factory=list)
    begun: float | None = None  # when the first task was enqueued
    executions: list[Execution] = field(default_factory=list)
    finals: dict[str, Final] = field(default_factory=dict)
    queued: int | None = None
    looked_at: float = 0.0  # the producer's last look
    fastest_line: float | None = None  # seconds from the producer's clock to ours: what its log took, and their skew
    said: list[str] = field(default_factory=list)  # what else the producer printed

    @property
    def skew(self) -> float:
        """Seconds that our clock is ahead of the producer's; 0 where they can't be told apart."""
        if self.fastest_line is None or 0 <= self.fastest_line <= SAME_CLOCK:
            return 0.0
        return self.fastest_line

    @property
    def all_final(self) -> bool:
        """Whether each task has come to an end."""
        return bool(self.tasks) and all(name in self.finals for name in self.tasks)

    def count(self, state: PodState) -> int:
        """How many pods are in this state."""
        return sum(found is state for found in self.pods.values())

    def newest_doings(self, count: int) -> list[Doing]:
        """The operator's last deeds, the newest last."""
        return sorted(self.doings.values(), key=lambda doing: doing.at)[-count:]

    def take(self, line: Line) -> None:
        """Learn from one line; one that makes no sense is passed over, but for the producer's, which is kept."""
        if line.text is None:
            self._restarted(line.stream)
            return
        try:
            content = json.loads(line.text)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            if line.stream == LOG:
                self.said.append(line.text.rstrip())
        elif line.stream == LOG:
            self._producer(content, line.at)
        elif content.get("type") in {"ADDED", "MODIFIED", "DELETED"}:
            {PODS: self._pod, RUNNERS: self._runner, EVENTS: self._event}[line.stream](content, line.at)

    def _restarted(self, stream: str) -> None:
        if stream == PODS:
            self.pods.clear()  # those that are there come again; those that went meanwhile must not stay
        elif stream == LOG:
            self.executions.clear()
            self.said.clear()

    def _pod(self, change: Json, at: float) -> None:
        pod = change["object"]
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        if change["type"] == "DELETED":
            self.pods.pop(name, None)
            self.emptied_at = None if self.pods else at
            return
        if self.first_pod_at is None:
            self.first_pod_at = at
        self.pods_seen.add(uid)
        self.pods[name] = state_of(pod)
        self.emptied_at = None
        counts = Counter(self.pods.values())
        live = len(self.pods) - counts[PodState.TERMINATING] - counts[PodState.ENDED]
        self.peak_pods = max(self.peak_pods, live)

    def _runner(self, change: Json, _: float) -> None:
        if change["object"]["metadata"]["uid"] == self.runner_uid:
            self.status = change["object"].get("status", {})

    def _event(self, change: Json, _: float) -> None:
        event = change["object"]
        regarding = event.get("regarding", {})
        if regarding.get("kind") == labels.KIND and regarding.get("uid") == self.runner_uid:
            doing = Doing(event.get("eventTime") or "", event.get("reason", ""), event.get("note", ""))
            self.doings[event["metadata"]["name"]] = doing

    def _producer(self, content: Json, at: float) -> None:
        if "enqueued" in content:
            self.tasks, self.begun = content["enqueued"], content["begun"]
        elif "execution" in content:
            told = content["execution"]
            self.executions.append(Execution(told["name"], told["pod"], told["started"]))
        elif "final" in content:
            self.finals[content["final"]] = Final(content["status"], content["at"])
        else:
            self.queued, self.looked_at = content["queued"], content["at"]
            took = at - content["at"]
            self.fastest_line = took if self.fastest_line is None else min(took, self.fastest_line)


def state_of(pod: Json) -> PodState:
    """What a pod is, from its object as the API server has it."""
    seen = parse_pod(pod)
    if seen.terminating:
        return PodState.TERMINATING
    if seen.ended:
        return PodState.ENDED
    if seen.status is None:
        return PodState.STARTING
    if seen.drain_request or seen.status.state in {WorkerState.DRAINING, WorkerState.DRAINED}:
        return PodState.DRAINING
    return PodState.ACTIVE if seen.status.state is WorkerState.ACTIVE else PodState.IDLE
