"""Asks backends through pynenc's own brokers. The only module that imports pynenc.

Their clients block, retry as they see fit (RabbitMQ's for ever) and can't be cancelled. So each
question is answered in a thread of its own that nobody has to wait for: it is asked once at a time, and
those of one server and all of them together are bounded.

A server that has not answered in time rests, for all its runners: meanwhile their questions fail at once.
After the rest one of them tries, and the others rest on until it has an answer.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pynenc import Pynenc
from pynenc.plugin_loader import load_all_plugins

from pynenc_operator.arrivals import Arrivals, Arrived
from pynenc_operator.backends import (
    Backend,
    BackendKind,
    BrokerError,
    BrokerErrorKind,
    cause_of,
    checked_redis_url,
    kind_of,
)
from pynenc_operator.questions import QueueCount
from pynenc_operator.redisconnection import check_addresses
from pynenc_operator.sqlitefile import refuse_strange_file

# Called with pynenc's broker, in a thread; two that are equal are one.
type Question[T] = Callable[[Any, Backend], T]
# The backend's kind, what came of a question (an error's kind, or "Answered"), and its seconds.
type PollHook = Callable[[str, str, float], None]

DEADLINE_SECONDS: Final = 2.0
_SOCKET_SECONDS: Final = 1.0  # redis-py tries four times: a thread that nobody waits for ends after about 4 s
_REST_SECONDS: Final = 5.0  # after a timeout: a dead server must not hold up what could be done meanwhile
_UNUSED_SECONDS: Final = 600.0
_LOOK_FOR_UNUSED_SECONDS: Final = 10.0  # it takes a walk over all of them
_MOST_COUNTS_AT_ONCE: Final = 64
_MOST_COUNTS_OF_A_SERVER: Final = 8  # it may be the one that does not answer: others need the rest


def load_plugins() -> None:
    """Import pynenc's plugins. To be called once, before the first count: it can take longer than a count may."""
    load_all_plugins()


@dataclass(slots=True)
class _Client:
    broker: Any
    used: float


@dataclass(slots=True)
class _Count:
    started: float
    result: "asyncio.Future[Any]"


@dataclass(slots=True)
class _Server:
    used: float
    silent: bool = False  # its latest count got no answer in time
    rest_until: float = 0.0
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_COUNTS_OF_A_SERVER))


class BackendSource:
    """Answers questions about backends, each with pynenc's broker for it."""

    def __init__(
        self,
        *,
        allow_local: bool = False,
        on_poll: PollHook = lambda _backend, _outcome, _seconds: None,
        on_arrival: Arrived = lambda _backend: None,
        deadline: float = DEADLINE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allow_local = allow_local
        self._on_poll = on_poll
        self._arrivals = Arrivals(on_arrival)
        self._deadline = deadline
        self._monotonic = monotonic
        self._clients: dict[Backend, _Client] = {}
        self._counts: dict[tuple[Backend, Question[Any]], _Count] = {}
        self._servers: dict[str, _Server] = {}
        self._evict_at = 0.0

    def close(self) -> None:
        """Listen to no server any more."""
        self._arrivals.close()

    async def ask[T](self, backend: Backend, question: Question[T]) -> T:
        """Have a question answered. BrokerError if it can't be within the deadline."""
        began = self._monotonic()
        outcome = "Answered"
        try:
            return await self._answered(backend, question, began)
        except BrokerError as error:
            outcome = error.kind
            raise
        finally:
            self._on_poll(backend.kind, outcome, self._monotonic() - began)

    async def _answered[T](self, backend: Backend, question: Question[T], now: float) -> T:
        server = self._servers.setdefault(backend.server, _Server(now))
        server.used = now
        if now < server.rest_until:
            raise _no_answer()
        if server.silent:
            server.rest_until = now + self._deadline  # for the others, while this one tries
        result = await self._result(backend, question, server, now)
        server.silent = isinstance(result, BrokerError) and result.kind is BrokerErrorKind.TIMEOUT
        server.rest_until = self._monotonic() + _REST_SECONDS if server.silent else 0.0
        if isinstance(result, BrokerError):
            raise result
        answer: T = result
        return answer

    async def _result(self, backend: Backend, question: Question[Any], server: _Server, now: float) -> Any:  # noqa: ANN401
        count = self._counts.get((backend, question))
        try:
            async with asyncio.timeout((count.started if count else now) + self._deadline - now):
                if count is None:
                    await server.places.acquire()
                    count = self._start(backend, question, server, now)
                return await asyncio.shield(count.result)
        except TimeoutError:
            return _no_answer()

    def _start(self, backend: Backend, question: Question[Any], server: _Server, now: float) -> _Count:
        """Start a count in a place of its server, or join one that another runner has started meanwhile."""
        self._evict(now)
        if (backend, question) in self._counts:
            server.places.release()
            return self._counts[backend, question]
        count = _Count(now, asyncio.get_running_loop().create_future())
        try:
            self._start_thread(backend, question, count)
        except BrokerError:
            server.places.release()
            raise

        def ended(_: object) -> None:
            del self._counts[backend, question]
            server.places.release()

        self._counts[backend, question] = count
        count.result.add_done_callback(ended)
        return count

    def _start_thread(self, backend: Backend, question: Question[Any], count: _Count) -> None:
        if len(self._counts) >= _MOST_COUNTS_AT_ONCE:
            raise BrokerError(BrokerErrorKind.OVERLOADED, f"{len(self._counts)} others have no answer yet")

        def run() -> None:
            result = self._answer(backend, question, count.started)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                count.result.get_loop().call_soon_threadsafe(count.result.set_result, result)

        try:  # a daemon: the process may end while a client still tries
            threading.Thread(target=run, name=f"count {backend.kind} {backend.app_id}", daemon=True).start()
        except RuntimeError as error:
            cause = f"{error}: raise its memory limit, or its node's limit of processes in a pod"
            raise BrokerError(BrokerErrorKind.OVERLOADED, cause) from None

    def _answer(self, backend: Backend, question: Question[Any], now: float) -> Any:  # noqa: ANN401
        """In a thread. Whatever goes wrong there is the backend's error, and only its class is told."""
        try:
            if backend.kind is BackendKind.SQLITE:
                refuse_strange_file(Path(backend.url))  # each time: who can write to the volume may have changed it
            client = self._clients.get(backend)
            if client is None:
                client = self._clients[backend] = _Client(self._connect(backend), now)
            client.used = now
            return self._asked(client.broker, backend, question)
        except BrokerError as error:
            return error
        except Exception as error:  # noqa: BLE001 - any plugin's own
            return BrokerError(kind_of(error), cause_of(error))

    def _asked(self, broker: Any, backend: Backend, question: Question[Any]) -> Any:  # noqa: ANN401
        answer = question(broker, backend)
        empty = isinstance(answer, QueueCount) and not answer.waiting
        if empty and backend.kind is BackendKind.REDIS and not backend.queues:
            self._arrivals.expect(backend, broker.key.default_queue(), broker.client.connection_pool)
        return answer

    def _connect(self, backend: Backend) -> Any:  # noqa: ANN401 - a broker, of either line of pynenc
        if backend.kind is BackendKind.REDIS:
            broker = _broker(
                backend,
                broker_cls="RedisBroker",
                redis_url=checked_redis_url(backend.url),
                socket_timeout=_SOCKET_SECONDS,
                socket_connect_timeout=_SOCKET_SECONDS,
                redis_pool_max_connections=_MOST_COUNTS_OF_A_SERVER,  # one pool serves all apps of a URL
            )
            if not self._allow_local:
                check_addresses(broker.client.connection_pool)
            return broker
        if backend.kind is BackendKind.SQLITE:
            return _broker(backend, broker_cls="SQLiteBroker", sqlite_db_path=backend.url)
        raise BrokerError(BrokerErrorKind.UNSUPPORTED, f"it has no plugin for {backend.kind}; use redis or sqlite")

    def _evict(self, now: float) -> None:
        if now < self._evict_at:
            return
        self._evict_at = now + _LOOK_FOR_UNUSED_SECONDS
        self._servers = {name: it for name, it in self._servers.items() if now - it.used < _UNUSED_SECONDS}
        for backend, client in list(self._clients.items()):
            if now - client.used > _UNUSED_SECONDS and all(asked != backend for asked, _ in self._counts):
                del self._clients[backend]
                if backend.kind is BackendKind.REDIS:
                    self._disconnect(client.broker.client.connection_pool)

    def _disconnect(self, pool: Any) -> None:  # noqa: ANN401
        """Close a client's connections, unless another app of the same URL has them too: the plugin shares them."""
        clients = [client.broker.client for it, client in list(self._clients.items()) if it.kind is BackendKind.REDIS]
        if all(client.connection_pool is not pool for client in clients):
            pool.disconnect(inuse_connections=False)  # one that counts for the first time is no client yet


def _no_answer() -> BrokerError:
    return BrokerError(BrokerErrorKind.TIMEOUT, "TimeoutError")


def _broker(backend: Backend, **values: object) -> Any:  # noqa: ANN401
    # No task is imported and no runner made: the broker alone needs neither. Its log would tell URLs.
    settings = {"app_id": backend.app_id, "logging_level": "critical", **values}
    return Pynenc(config_values=settings).broker
