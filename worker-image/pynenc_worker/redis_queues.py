"""What pynenc-redis lacks for pynenc 0.4: named queues and priorities.

pynenc 0.4 asks more of a broker than pynenc-redis 0.3, its newest release, implements. This fills the gap in the
plugin's own classes, so that nobody configures another one; a release that has it all is left alone, and so is all of
pynenc 0.3. It is needed wherever pynenc 0.4 meets Redis, in producers too: pynenc imports it by itself, as an entry
point in the group `pynenc.plugins`, where this package is installed.

The order is pynenc's: the highest priority first, and first in, first out among equals.
"""

import abc
import inspect
from collections.abc import Sequence
from typing import Any, Final

from pynenc.identifiers.invocation_id import InvocationId
from pynenc.orchestrator.base_orchestrator import BaseOrchestrator

from pynenc_worker import queuekeys

# One step each: another client must not come between a look and a pop, or give two entries one number.
_POP: Final = """
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if not first[1] or tonumber(first[2]) > 0 then
    local listed = redis.call('LPOP', KEYS[1])
    if listed then return listed end
end
if not first[1] then return false end
redis.call('ZREM', KEYS[2], first[1])
return string.match(first[1], ':(.*)')
"""
_PUSH: Final = """
for number = 2, #ARGV do
    local member = string.format('%016d', redis.call('INCR', KEYS[2])) .. ':' .. ARGV[number]
    redis.call('ZADD', KEYS[1], ARGV[1], member)
end
"""
_BATCH: Final = 5000  # ids in one script: what Lua takes as arguments, and some ms of the server

_filled: set[type] = set()


def fill(broker: type, orchestrator: type) -> None:
    """Give the plugin's classes what pynenc asks of them and they lack."""
    if "_route_invocation" in getattr(broker, "__abstractmethods__", ()):
        _filled.add(broker)
        for name in ("route_invocation", "route_invocations"):  # of pynenc 0.3: in 0.4 pynenc's own come first
            if name in vars(broker):
                delattr(broker, name)
        for method in (_route_invocation, _route_invocations, retrieve_invocation, count_invocations):
            setattr(broker, method.__name__, method)
        abc.update_abstractmethods(broker)
    if _takes_queues(BaseOrchestrator) and not _takes_queues(orchestrator):
        _leave_out_queues(orchestrator)


def filled(broker: type) -> bool:
    """Whether a broker's queues are as this module keeps them."""
    return broker in _filled


def _takes_queues(orchestrator: Any) -> bool:  # noqa: ANN401 - a class; untyped in pynenc
    return "consumed_queues" in inspect.signature(orchestrator.register_runner_heartbeats).parameters


def _leave_out_queues(orchestrator: Any) -> None:  # noqa: ANN401
    """Which queues a runner consumes, pynenc only shows: nothing needs it kept."""
    register = orchestrator.register_runner_heartbeats

    def register_runner_heartbeats(
        self: Any,  # noqa: ANN401
        runner_ids: list[str],
        can_run_atomic_service: bool = False,  # noqa: FBT001, FBT002 - pynenc's signature
        consumed_queues: Sequence[str] | None = None,
    ) -> None:
        del consumed_queues
        register(self, runner_ids, can_run_atomic_service)

    orchestrator.register_runner_heartbeats = register_runner_heartbeats


# From here on: methods of the broker.


def _route_invocation(self: Any, invocation_id: str, queue_name: str, priority: float) -> None:  # noqa: ANN401
    self._route_invocations([invocation_id], queue_name, priority)


def _route_invocations(
    self: Any,  # noqa: ANN401
    invocation_ids: Sequence[str],
    queue_name: str,
    priority: float,
) -> None:
    prefix = self.key.prefix
    for start in range(0, len(invocation_ids), _BATCH):
        batch = invocation_ids[start : start + _BATCH]
        with self.client.pipeline(transaction=True) as pipe:
            if queue_name != queuekeys.DEFAULT:
                pipe.sadd(queuekeys.names(prefix), queue_name)
            if priority:
                keys = [queuekeys.prioritized(prefix, queue_name), queuekeys.sequence(prefix, queue_name)]
                pipe.eval(_PUSH, len(keys), *keys, -priority, *batch)
            else:
                pipe.rpush(queuekeys.listed(prefix, queue_name), *batch)
            pipe.execute()


def retrieve_invocation(self: Any, queue_name: str | None = None) -> str | None:  # noqa: ANN401
    """Take the next id of a queue, None if there is none; without a name, of the first queue configured."""
    queue = queue_name or self.conf.queues[0]
    self._validate_queue_names((queue,))
    keys = queuekeys.listed(self.key.prefix, queue), queuekeys.prioritized(self.key.prefix, queue)
    taken = self.client.eval(_POP, len(keys), *keys)  # by its text: a user needs the right to no other command
    return None if taken is None else InvocationId(taken.decode())


def count_invocations(self: Any, queue_names: Sequence[str] | None = None) -> int:  # noqa: ANN401
    """How many ids wait in these queues; without names, in all that are configured."""
    queues = self.conf.queues if queue_names is None else queue_names
    self._validate_queue_names(queues)
    prefix = self.key.prefix
    with self.client.pipeline(transaction=False) as pipe:
        for queue in queues:
            pipe.llen(queuekeys.listed(prefix, queue))
            pipe.zcard(queuekeys.prioritized(prefix, queue))
        return sum(map(int, pipe.execute()))


def _fill_plugin() -> None:
    try:
        from pynenc_redis.broker.redis_broker import RedisBroker  # noqa: PLC0415 - an app on SQLite does not have it
        from pynenc_redis.orchestrator.redis_orchestrator import RedisOrchestrator  # noqa: PLC0415
    except ImportError:
        return
    fill(RedisBroker, RedisOrchestrator)


_fill_plugin()
