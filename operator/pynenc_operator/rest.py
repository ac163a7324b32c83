"""Whether a runner is at rest: no pod, no work, and nothing that time alone would change. Pure."""

from typing import Final

from pynenc_operator.conditions import Facts
from pynenc_operator.decision import Decision
from pynenc_operator.model import Observation

# How often such a runner is looked at whose backend tells of new work at once; the look is only for what it missed.
REST_SECONDS: Final = 20.0


def at_rest(seen: Observation, decision: Decision, facts: Facts) -> bool:
    """Whether only news can change what is to be done for a runner."""
    if seen.pods or seen.vanished or seen.depth is None or seen.depth.peak or seen.depth.count:
        return False
    if decision.acts or decision.desired or not facts.template_valid:
        return False
    since = (seen.failures, seen.orphans, seen.broker_down_since, seen.not_consumed_since, seen.hang_suspected_at)
    problems = (facts.broker, facts.template, facts.name_taken, seen.recovery_since)
    held = seen.creation_held or seen.quota_full
    return not held and all(one is None for one in (*since, *problems))
