"""What the worker knows of pynenc-redis beyond pynenc's interfaces.

Each of these has a slower, less exact or impossible counterpart without it, and is left out when the
plugin's release has another shape.
"""

import functools
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import redis
from pynenc import Pynenc
from pynenc.broker.base_broker import BaseBroker
from pynenc.invocation.status import InvocationStatus, InvocationStatusRecord, status_record_transition
from pynenc.orchestrator.base_orchestrator import BaseOrchestrator
from pynenc_redis.conf.config_redis import ConfigRedis
from pynenc_redis.util import mongo_client

from pynenc_worker import lines, queuekeys, redis_queues
from pynenc_worker.backend import NO_URL
from pynenc_worker.config import ConfigError
from pynenc_worker.index import InvocationIndex

QUEUE_PAGE: Final = 10_000


class UrlCredentials(redis.CredentialProvider):
    """User and password of a URL that is read again for each new connection: a rotated one is found by itself."""

    def __init__(self, read_url: Callable[[], str]) -> None:
        self._read_url = read_url

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """What AUTH is sent with.

        :raises redis.AuthenticationError: there is no URL to read at the moment; tried again like a refused one
        """
        try:
            options = _options(self._read_url())
        except (ConfigError, ValueError) as error:
            raise redis.AuthenticationError(type(error).__name__) from None
        password = options.get("password", "")
        username = options.get("username")
        return (username, password) if username else (password,)


def _options(url: str) -> dict[str, str]:
    return dict(redis.connection.parse_url(url))  # type: ignore[no-untyped-call]


def use_credentials(public_url: str, read_url: Callable[[], str]) -> None:
    """Make the plugin's process-wide pool for `public_url`, which names no password, before anything uses it.

    :raises ConfigError: the client refuses the URL; its own words would tell parts of it
    """
    try:
        options = _options(read_url())
        redis.ConnectionPool.from_url(public_url).make_connection()  # which checks its options, and connects to nothing
    except (ValueError, TypeError, redis.RedisError):
        raise ConfigError(NO_URL) from None
    if not set(options) & {"username", "password"}:
        return
    conf = ConfigRedis()
    mongo_client._REDIS_POOLS[public_url] = redis.ConnectionPool.from_url(  # noqa: SLF001 - the plugin offers no other way
        public_url,
        credential_provider=UrlCredentials(read_url),
        max_connections=conf.redis_pool_max_connections,
        socket_timeout=conf.socket_timeout,
        socket_connect_timeout=conf.socket_connect_timeout,
        socket_keepalive=True,
        health_check_interval=conf.redis_pool_health_check_interval,
        retry_on_timeout=True,
    )


def install(app: Pynenc, component: BaseBroker | BaseOrchestrator) -> None:
    """Use the transition below instead of the plugin's, and the app's own settings for the pool made above.

    :param component: one of the app's that is on Redis, whose settings are these
    """
    app.orchestrator._atomic_status_transition = functools.partial(transition, app)  # noqa: SLF001 - what it replaces
    conf = component.conf
    pool = component.client.connection_pool
    pool.max_connections = conf.redis_pool_max_connections
    pool.connection_kwargs.update(
        socket_timeout=conf.socket_timeout, socket_connect_timeout=conf.socket_connect_timeout
    )


def _known_layout(broker: Any) -> bool:  # noqa: ANN401 - untyped in pynenc
    """Whether the queues are where `queuekeys` says: not those of a plugin that implements pynenc 0.4 by itself."""
    return not lines.HAS_QUEUES or redis_queues.filled(type(broker))


def _pages(read: Callable[[str, int, int], list[bytes]], key: str) -> Iterator[bytes]:
    """All of a list or a sorted set, in pieces that hold up the server for a moment only."""
    start = 0
    while page := read(key, start, start + QUEUE_PAGE - 1):
        yield from page
        start += QUEUE_PAGE


def _merged(listed: list[bytes], prioritized: list[tuple[bytes, float]]) -> list[str]:
    """One queue's ids in the order in which they are taken."""
    before = [queuekeys.id_of(member) for member, score in prioritized if score < 0]
    after = [queuekeys.id_of(member) for member, score in prioritized if score > 0]
    return [*before, *(raw.decode() for raw in listed), *after]


class RedisStates(InvocationIndex):
    """The plugin's own sets; its public query reads every invocation that there ever was."""

    def with_status(self, statuses: Iterable[InvocationStatus]) -> list[str]:
        """Every invocation in one of these statuses."""
        client, key = self._app.orchestrator.client, self._app.orchestrator.key
        return [raw.decode() for status in statuses for raw in client.smembers(key.status_to_invocations(status))]

    def silent_runners(self, seconds: float) -> list[str]:
        """Runners whose last heartbeat is older than that, or missing."""
        client, key = self._app.orchestrator.client, self._app.orchestrator.key
        runners = [raw.decode() for raw in client.zrange(key.runner_heartbeats(), 0, -1)]
        with client.pipeline(transaction=False) as pipe:
            for runner_id in runners:
                pipe.hget(key.runner_heartbeat(runner_id), "last_heartbeat")
            beats = pipe.execute()
        oldest = time.time() - seconds
        return [runner_id for runner_id, beat in zip(runners, beats, strict=True) if float(beat or 0) < oldest]

    def forget_runner(self, runner_id: str) -> None:
        """Remove a heartbeat: the plugin never does, and each atomic slot reads every heartbeat there ever was."""
        client, key = self._app.orchestrator.client, self._app.orchestrator.key
        client.delete(key.runner_heartbeat(runner_id))
        client.zrem(key.runner_heartbeats(), runner_id)


class RedisIndex(RedisStates):
    """The same, and the queues' keys."""

    def queued(self) -> set[str] | None:
        """Everything that stands in the app's queues, also in those that others serve."""
        broker = self._app.broker
        if not _known_layout(broker):
            return None
        client, prefix = broker.client, broker.key.prefix
        routed = {raw.decode() for raw in client.smembers(queuekeys.names(prefix))}
        found: set[str] = set()
        for queue in routed | {queuekeys.DEFAULT}:
            found.update(raw.decode() for raw in _pages(client.lrange, queuekeys.listed(prefix, queue)))
            found.update(map(queuekeys.id_of, _pages(client.zrange, queuekeys.prioritized(prefix, queue))))
        return found

    def queue_head(self, most: int) -> list[str] | None:
        """The ids that are next in the queues that this runner serves, one queue after the other."""
        broker = self._app.broker
        if not _known_layout(broker):
            return None
        prefix, queues = broker.key.prefix, lines.served_queues(self._app)
        with broker.client.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.lrange(queuekeys.listed(prefix, queue), 0, most - 1)
                if lines.HAS_QUEUES:
                    pipe.zrange(queuekeys.prioritized(prefix, queue), 0, most - 1, withscores=True)
            answers = pipe.execute()
        if not lines.HAS_QUEUES:
            return [raw.decode() for raw in answers[0]]
        heads = zip(answers[::2], answers[1::2], strict=True)
        return [one for listed, prioritized in heads for one in _merged(listed, prioritized)[:most]][:most]


def transition(
    app: Pynenc, invocation_id: str, status: InvocationStatus, runner_id: str | None
) -> InvocationStatusRecord:
    """Check and write a status in one step.

    The plugin's own reads, checks and then writes: of two workers that meet at one invocation (a child that is
    taken as a blocking one here and from the queue there), both could run it.

    :raises KeyError: there is no such invocation
    """
    key = app.orchestrator.key
    record_key = key.invocation_to_status(invocation_id)
    while True:
        with app.orchestrator.client.pipeline() as pipe:
            try:
                pipe.watch(record_key)
                raw = pipe.get(record_key)
                if raw is None:
                    raise KeyError(f"invocation {invocation_id} is not in Redis")
                current = InvocationStatusRecord.from_json(json.loads(raw))
                new = status_record_transition(current, status, runner_id)
                pipe.multi()
                pipe.srem(key.status_to_invocations(current.status), invocation_id)
                pipe.sadd(key.status_to_invocations(new.status), invocation_id)
                pipe.set(record_key, json.dumps(new.to_json()))
                pipe.execute()
            except redis.WatchError:
                continue  # somebody else wrote it, or the connection broke in between; then the next try says so
            return new
