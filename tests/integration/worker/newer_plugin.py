"""Run by the next line's interpreter: what `redis_queues` makes of a plugin that has queues, and of one without."""

import json
from collections.abc import Sequence
from typing import Any

from pynenc.broker.base_broker import BaseBroker
from pynenc.orchestrator.base_orchestrator import BaseOrchestrator

from pynenc_worker import redis_queues


class NewerBroker(BaseBroker):  # type: ignore[misc]
    """As a release of the plugin for pynenc 0.4 would be."""

    def _route_invocation(self, invocation_id: str, queue_name: str, priority: float) -> None: ...
    def _route_invocations(self, invocation_ids: Sequence[str], queue_name: str, priority: float) -> None: ...
    def retrieve_invocation(self, queue_name: str | None = None) -> None: ...
    def count_invocations(self, queue_names: Sequence[str] | None = None) -> int:
        return len(queue_names or ())

    def purge(self) -> None: ...


class OlderBroker(BaseBroker):  # type: ignore[misc]
    """As pynenc-redis 0.3."""

    def route_invocation(self, invocation_id: str) -> None: ...
    def route_invocations(self, invocation_ids: list[str]) -> None: ...
    def retrieve_invocation(self) -> None: ...
    def count_invocations(self) -> int:
        return 0

    def purge(self) -> None: ...


class NewerOrchestrator(BaseOrchestrator):  # type: ignore[misc]
    """Takes what pynenc 0.4 says of a runner."""

    def register_runner_heartbeats(self, runner_ids: Any, can_run: Any = None, consumed_queues: Any = None) -> None: ...


class OlderOrchestrator(BaseOrchestrator):  # type: ignore[misc]
    """As pynenc-redis 0.3."""

    def register_runner_heartbeats(self, runner_ids: Any, can_run_atomic_service: Any = None) -> None: ...


def touched(broker: type, orchestrator: type) -> dict[str, Any]:
    """What `fill` has changed of two classes, and whether the broker could be made then."""
    before = dict(vars(broker)), dict(vars(orchestrator))
    redis_queues.fill(broker, orchestrator)
    return {
        "broker": dict(vars(broker)) != before[0],
        "orchestrator": dict(vars(orchestrator)) != before[1],
        "filled": redis_queues.filled(broker),
        "abstract": sorted(broker.__abstractmethods__),  # type: ignore[attr-defined]
    }


print(
    json.dumps(
        {
            "newer": touched(NewerBroker, NewerOrchestrator),
            "older": touched(OlderBroker, OlderOrchestrator),
            "again": touched(OlderBroker, OlderOrchestrator),
        }
    )
)
