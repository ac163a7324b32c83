"""The keys that a run leaves in a runner's Redis: which there may be, and how many of each. Pure."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from tests.e2e.taskqueue import APP_ID

# What stands in a key for one invocation, one worker, one call's arguments, one caller.
_VARYING: Final = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "ARGUMENTS"),
    (re.compile(r"ExternalRunner@.*"), "CALLER"),
    (re.compile(r"reports\.tasks\.(short|long)\b"), "TASK"),
)
_OF = f"__pynenc__:{APP_ID}"
_KINDS: Final = 2  # tasks of the app

# At most one of each for an invocation.
_OF_INVOCATION: Final = {
    f"{_OF}:orchestrator:invocation_status:ID",
    f"{_OF}:orchestrator:invocation_retries:ID",
    f"{_OF}:orchestrator:invocation_to_call:ID",
    f"{_OF}:orchestrator:call_to_invocation:TASK:ARGUMENTS",
    f"{_OF}:state_backend:invocation:ID",
    f"{_OF}:state_backend:history:ID",
    f"{_OF}:state_backend:result:ID",
}
HEARTBEAT: Final = f"{_OF}:orchestrator:runner_heartbeat:"
# At most one of each for a worker or a caller there has been; whose heartbeats may be left is judged apart.
_OF_WORKER: Final = {
    f"{HEARTBEAT}ID",
    f"{_OF}:state_backend:runner_context:ID",
    f"{_OF}:state_backend:runner_context:CALLER",
}
# pynenc's record of a round of its service; it keeps those of an hour, 1,000 at most.
_OF_SERVICE: Final = {f"{_OF}:orchestrator:atomic_service_execution:ID"}
_MOST_OF_SERVICE: Final = 1000
# At most one of each for a task of the app.
_OF_TASK: Final = {f"{_OF}:orchestrator:task:TASK", f"{_OF}:orchestrator:task_invocations_by_time:TASK"}
_OF_APP: Final = {
    f"__pynenc__:__pynenc__:apps_info:{APP_ID}",
    f"{_OF}:orchestrator:all_invocations_by_time",
    f"{_OF}:orchestrator:atomic_service_executions",
    f"{_OF}:orchestrator:invocation_auto_purge",
    f"{_OF}:orchestrator:runner_heartbeats",
    f"{_OF}:orchestrator:status:success",
    f"{_OF}:state_backend:history_by_timestamp",
    "demo:executions",  # the tasks' own
}


def patterns(keys: Iterable[str]) -> Counter[str]:
    """How many keys there are of each pattern."""
    return Counter(_pattern(key) for key in keys)


def unexpected(found: Counter[str], *, invocations: int, workers: int) -> list[str]:
    """The patterns of which there are more than there may be, with how many."""
    most = {
        **dict.fromkeys(_OF_INVOCATION, invocations),
        **dict.fromkeys(_OF_WORKER, workers),
        **dict.fromkeys(_OF_SERVICE, _MOST_OF_SERVICE),
        **dict.fromkeys(_OF_TASK, _KINDS),
        **dict.fromkeys(_OF_APP, 1),
    }
    return [f"{count} {key}" for key, count in sorted(found.items()) if count > most.get(key, 0)]


def _pattern(key: str) -> str:
    for expression, word in _VARYING:
        key = expression.sub(word, key)
    return key
