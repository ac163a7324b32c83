"""What is counted of one runner's pods: from what is seen of them at each look, and from what was done.

Every count is kept here and nowhere else, so that it goes when the runner goes. What an operator finds at
its first look has happened before it came, and is not counted again.
"""

import math
from collections import Counter as Amounts
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pynenc_operator.conditions import Report
from pynenc_operator.decision import CancelDrain, Decision, Delete, Drain, Step
from pynenc_operator.failures import ended_too_early
from pynenc_operator.families import DRAIN_SECONDS, POD_SECONDS, Distribution
from pynenc_operator.model import WorkerPod
from pynenc_operator.reason import OVER, Reason
from pynenc_worker.contract import QUEUES_UNSUPPORTED, WorkerState

type Json = dict[str, Any]

# Of start failures: what the platform calls them.
_START_FAILURES: Final = {
    "ImagePullBackOff": "ImagePull",
    "InvalidImageName": "ImagePull",
    "ErrImageNeverPull": "ImagePull",
    "RegistryUnavailable": "ImagePull",
    "CreateContainerConfigError": "Config",
    "CreateContainerError": "Config",
    "StartError": "Config",
    "ContainerCannotRun": "Config",
    QUEUES_UNSUPPORTED: "Config",
    "OOMKilled": "OutOfMemory",
    "Unschedulable": "Unschedulable",
    "SchedulingGated": "Unschedulable",
}
CRASH: Final = "Crash"
DEADLINE: Final = "StartDeadline"
QUOTA: Final = "Quota"
ADMISSION: Final = "Admission"
START_FAILURES: Final = (*dict.fromkeys(_START_FAILURES.values()), CRASH, DEADLINE, QUOTA, ADMISSION)
DRAIN_RESULTS: Final = ("clean", "timeout", "forced")
# Limits that the user has set: to be kept at them is no slowness.
_WANTED_LIMITS: Final = frozenset({Reason.MAX_REPLICAS, Reason.PINNED})


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a runner has come to, once what it decided is done."""

    report: Report
    conditions: Sequence[Json]
    pods: Sequence[WorkerPod]
    oldest_age: float | None = None  # seconds that the oldest entry of the queue has waited; None: not known
    invocations: Mapping[str, int] | None = None  # of its app, by status; None: not known


@dataclass(slots=True)
class RunnerRecord:
    """One runner: its latest look, and what has been counted since this operator first saw it."""

    runner: Json
    drain_timeout: float
    look: Look | None = None
    looked_at: float = 0.0
    counted_at: float | None = None  # when the broker last answered
    # Counter's name and the values of its labels beside the runner's.
    counts: Amounts[tuple[str, ...]] = field(default_factory=Amounts)
    scale_up: Distribution = field(default_factory=lambda: Distribution(POD_SECONDS))
    pod_start: Distribution = field(default_factory=lambda: Distribution(POD_SECONDS))
    drain: Distribution = field(default_factory=lambda: Distribution(DRAIN_SECONDS))
    _began: float = 0.0  # the present look
    _met: bool = False  # it has created all the pods that it decided on
    _pods: dict[str, WorkerPod] = field(default_factory=dict)  # as the latest look saw them, by uid
    _unmet_since: float | None = None
    _held: Reason | None = None
    _unreported: set[str] = field(default_factory=set)
    _demanded: dict[str, float] = field(default_factory=dict)  # since when the demand was unmet that a pod is for
    _failed: set[str] = field(default_factory=set)
    _drained: set[str] = field(default_factory=set)
    _recovered: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin at 0 what is certain to be asked for: a rate misses what a counter begins with."""
        self.counts.update({("pods_created",): 0, ("recovered_runners",): 0})
        self.counts.update({("pods_deleted", str(Reason.DRAINED)): 0})
        self.counts.update({("scale_decisions", "up", str(Reason.QUEUE_DEPTH)): 0})
        self.counts.update({("scale_decisions", "down", str(Reason.IDLE_TIMEOUT)): 0})
        self.counts.update({("pod_drains", result): 0 for result in DRAIN_RESULTS})
        self.counts.update({("pod_start_failures", reason): 0 for reason in START_FAILURES})

    def begins(self, runner: Json, drain_timeout: float, now: float) -> None:
        """Note that a look begins: what it finds unmet was unmet then."""
        self.runner, self.drain_timeout = runner, drain_timeout
        self._began, self._met = now, False

    def acted(self, decision: Decision, created: Iterable[str], done: Iterable[Step], now: float) -> None:
        """Take in what was done: the uids of created pods, and the steps that were carried out."""
        uids = list(created)
        directions: set[tuple[str, Reason]] = set()
        if uids and decision.create:
            self._met = len(uids) >= decision.create.count
            directions.add(("up", decision.create.reason))
            self.counts["pods_created",] += len(uids)
            self._unreported.update(uids)
            if decision.create.reason is Reason.QUEUE_DEPTH:
                since = self._began if self._unmet_since is None else self._unmet_since
                self._demanded.update(dict.fromkeys(uids, since))
        for step in done:
            if isinstance(step, Delete):
                self.counts["pods_deleted", str(step.reason)] += 1
                self._leaves(step, now)
            if isinstance(step, CancelDrain):
                directions.add(("up", step.reason))
            elif isinstance(step, Drain) or (isinstance(step, Delete) and step.reason not in OVER):
                directions.add(("down", step.reason))
        for direction, reason in directions:
            self.counts["scale_decisions", direction, str(reason)] += 1

    def refused(self, reason: str) -> None:
        """Take in that a pod was not created, for QUOTA or ADMISSION."""
        self.counts["pod_start_failures", reason] += 1

    def looked(self, look: Look, now: float) -> None:
        """Take in what a look has come to."""
        first = self.look is None
        before, self._pods = self._pods, {pod.uid: pod for pod in look.pods}
        self.look, self.looked_at = look, now
        if look.report.depth is not None:
            self.counted_at = now
        if look.report.facts.broker:
            self.counts["broker_errors", look.report.facts.broker.reason] += 1
        self._note_hold(look.report.decision)
        for pod in look.pods:
            self._note_start(pod, now)
            self._note_failure(pod, count=not first)
            if pod.ended:
                self._drain_ended(pod, now, count=not first)
        for uid in before.keys() - self._pods.keys():
            self._drain_ended(before[uid], now)
        recovered = {runner_id for pod in look.pods for runner_id in pod.recovered}
        if not first:
            self.counts["recovered_runners",] += len(recovered - self._recovered)
        self._recovered = recovered
        self._forget_gone()

    def _note_hold(self, decision: Decision) -> None:
        """Count what keeps the pool from moving when it begins, not at every look."""
        idle = decision.reason if decision.reason in {Reason.BROKER_UNREACHABLE, Reason.PAUSED} else None
        held = decision.limited or idle
        if held and held is not self._held:
            self.counts["scale_decisions", "hold", str(held)] += 1
        self._held = held
        demanded = decision.create is not None and decision.create.reason is Reason.QUEUE_DEPTH
        if (demanded and not self._met) or (decision.limited and decision.limited not in _WANTED_LIMITS):
            self._unmet_since = self._began if self._unmet_since is None else self._unmet_since
        else:
            self._unmet_since = None

    def _note_start(self, pod: WorkerPod, now: float) -> None:
        if pod.status is None:
            self._unreported.add(pod.uid)
        elif pod.uid in self._unreported:
            self._unreported.discard(pod.uid)
            self.pod_start.observe(now - pod.created)
            if (since := self._demanded.pop(pod.uid, None)) is not None:
                self.scale_up.observe(now - since)

    def _note_failure(self, pod: WorkerPod, *, count: bool = True, silent: bool = False) -> None:
        """Count a pod that fails to start, once. Not yet scheduled is no failure before its deadline."""
        reason = start_failure(pod, silent=silent)
        if reason and pod.uid not in self._failed:
            self._failed.add(pod.uid)
            self.counts["pod_start_failures", reason] += count

    def _leaves(self, step: Delete, now: float) -> None:
        self._note_failure(step.pod, silent=step.reason is Reason.SILENT)
        self._drain_ended(step.pod, now, count=self.look is not None or not step.pod.ended)

    def _drain_ended(self, pod: WorkerPod, now: float, *, count: bool = True) -> None:
        if pod.uid in self._drained or pod.drain is None:
            return
        self._drained.add(pod.uid)
        if count:
            self.counts["pod_drains", drain_result(pod, self.drain_timeout)] += 1
            if math.isfinite(pod.drain.asked):
                self.drain.observe(max(0.0, (pod.ended_at or now) - pod.drain.asked))

    def _forget_gone(self) -> None:
        there = self._pods.keys()
        self._unreported &= there
        self._failed &= there
        self._drained &= there
        self._demanded = {uid: since for uid, since in self._demanded.items() if uid in there}


def start_failure(pod: WorkerPod, *, silent: bool) -> str | None:
    """Why a pod failed to start, one of START_FAILURES; None where it did not, or not yet. `silent`: past its deadline.

    A failure is what it is for rule 7.
    """
    if pod.terminating or pod.disrupted:
        return None
    known = _START_FAILURES.get(pod.trouble.reason) if pod.trouble else None
    if pod.ended:
        return known or CRASH if ended_too_early(pod) else None
    if pod.status is not None:
        return None
    if silent:
        return known or DEADLINE
    return known if known != "Unschedulable" else None


def drain_result(pod: WorkerPod, drain_timeout: float) -> str:
    """How a drain has ended, one of DRAIN_RESULTS. Forced: the worker ended, or was ended, before it said drained."""
    if pod.status is None or pod.drain is None or pod.status.state is not WorkerState.DRAINED:
        return "forced"
    return "timeout" if pod.handed_back(drain_timeout) else "clean"
