"""When a runner is to be looked at again if nothing happens. Pure.

It is at rest when its queue is empty and nothing but an idle timeout would change what is to be done. Its pods may be
idle or active: what becomes of them and of the queue is told, by the watch and by the backend.
"""

import math
from typing import Final

from pynenc_operator.conditions import Facts
from pynenc_operator.decision import Decision
from pynenc_operator.model import Observation, WorkerPod
from pynenc_operator.runnerspec import RunnerSpec
from pynenc_worker.contract import WorkerState

# How often such a runner is looked at whose backend tells of new work at once; the look is only for what it missed.
REST_SECONDS: Final = 20.0
_JUST_AFTER_SECONDS: Final = 0.01  # an idle timeout is over when more than it has passed


def until_next_look(
    spec: RunnerSpec, seen: Observation, decision: Decision, facts: Facts, now: float, *, told: bool
) -> float:
    """The seconds for which a runner may be left alone; `told`: news of it will come by itself."""
    interval = float(spec.poll_interval_seconds)
    if told and is_at_rest(seen, decision, facts):
        interval = max(interval, REST_SECONDS)
    return min(interval, _until_one_may_leave(spec, seen, now))


def is_at_rest(seen: Observation, decision: Decision, facts: Facts) -> bool:
    """Whether nothing but news and an idle timeout can change what is to be done for a runner."""
    if seen.vanished or seen.depth is None or seen.depth.peak or seen.depth.count:
        return False
    if decision.acts or decision.desired != len(seen.pods) or not facts.template_valid:
        return False
    since = (seen.failures, seen.orphans, seen.broker_down_since, seen.not_consumed_since, seen.hang_suspected_at)
    problems = (facts.broker, facts.template, facts.name_taken, seen.recovery_since)
    if seen.creation_held or seen.quota_full or any(one is not None for one in (*since, *problems)):
        return False
    return all(_is_settled(pod, seen.template) for pod in seen.pods)


def _is_settled(pod: WorkerPod, template: str) -> bool:
    """Whether a pod takes work, or does some, and nothing is asked of it."""
    if pod.terminating or pod.ended or pod.trouble or pod.template_hash != template or pod.drain_request or pod.recover:
        return False
    return pod.status is not None and pod.status.state in (WorkerState.IDLE, WorkerState.ACTIVE)


def _until_one_may_leave(spec: RunnerSpec, seen: Observation, now: float) -> float:
    """Seconds until an idle timeout is over, infinite if none will be; who did not leave after it is kept anyway."""
    idle_since = [pod.status.last_update for pod in seen.pods if pod.status and pod.status.state is WorkerState.IDLE]
    left = [since + spec.idle_timeout_seconds - now for since in idle_since]
    return min((seconds + _JUST_AFTER_SECONDS for seconds in left if seconds >= 0), default=math.inf)
