"""Asks backends through pynenc's own brokers. The only module that imports pynenc.

Their clients block, retry as they see fit (RabbitMQ's for ever) and can't be cancelled. So each question
is answered in a thread of its own that nobody has to wait for: one backend has one at most for each, and
all of them together are bounded.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pynenc import Pynenc

from pynenc_operator.backends import (
    Backend,
    BackendKind,
    BrokerError,
    BrokerErrorKind,
    checked_redis_url,
    is_local,
    refused_as_local,
)

__all__ = ["Backend", "BackendSource", "BrokerError", "BrokerErrorKind", "isolate_from_environment"]

# Called with pynenc's broker, in a thread; two that are equal are asked once.
type Question[T] = Callable[[Any, Backend], T]
# What came of it (an error's kind, or "Counted"), and its seconds.
type CountHook = Callable[[str, float], None]

DEADLINE_SECONDS: Final = 2.0
_SOCKET_SECONDS: Final = 1.0  # redis-py tries four times: a thread that nobody waits for ends after about 4 s
_REST_SECONDS: Final = 5.0  # after a timeout: a dead backend must not hold up what could be done meanwhile
_UNUSED_SECONDS: Final = 600.0
_MOST_COUNTS_AT_ONCE: Final = 64

# By the names of an exception's class and its bases, so that no plugin has to be there.
_AUTHENTICATION: Final = frozenset({"AuthenticationError", "AuthenticationWrongNumberOfArgsError", "NoPermissionError"})
_TIMEOUTS: Final = frozenset({"TimeoutError"})
_BUGS: Final = (TypeError, AttributeError, ImportError, NotImplementedError)


def isolate_from_environment() -> None:
    """Make the resource the only source of a client's configuration. To be called once, at process start.

    pynenc puts `PYNENC__*` variables and the working directory's pyproject.toml above what it is told.
    """
    for name in [name for name in os.environ if name.startswith("PYNENC__")]:
        del os.environ[name]
    if "KUBECONFIG" in os.environ:  # relative paths in it are relative to where we were
        files = (str(Path(file).absolute()) for file in os.environ["KUBECONFIG"].split(os.pathsep) if file)
        os.environ["KUBECONFIG"] = os.pathsep.join(files)
    os.chdir("/")


@dataclass(slots=True)
class _Client:
    broker: Any
    used: float


@dataclass(slots=True)
class _Count:
    started: float
    result: "asyncio.Future[Any]"


class BackendSource:
    """Answers questions about backends, each with pynenc's broker for it."""

    def __init__(
        self,
        *,
        allow_local: bool = False,
        on_count: CountHook = lambda _outcome, _seconds: None,
        deadline: float = DEADLINE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allow_local = allow_local
        self._on_count = on_count
        self._deadline = deadline
        self._monotonic = monotonic
        self._clients: dict[Backend, _Client] = {}
        self._counts: dict[tuple[Backend, Question[Any]], _Count] = {}
        self._rest_until: dict[Backend, float] = {}

    async def ask[T](self, backend: Backend, question: Question[T]) -> T:
        """Have a question answered. BrokerError if it can't be within the deadline."""
        began = self._monotonic()
        outcome = "Counted"
        try:
            return await self._answered(backend, question, began)
        except BrokerError as error:
            outcome = error.kind
            raise
        finally:
            self._on_count(outcome, self._monotonic() - began)

    async def _answered[T](self, backend: Backend, question: Question[T], now: float) -> T:
        if now < self._rest_until.get(backend, now):
            raise BrokerError(BrokerErrorKind.TIMEOUT, "TimeoutError")
        count = self._counts.get((backend, question)) or self._start(backend, question, now)
        try:
            async with asyncio.timeout(count.started + self._deadline - now):
                result = await asyncio.shield(count.result)
        except TimeoutError:
            self._rest_until[backend] = self._monotonic() + _REST_SECONDS
            raise BrokerError(BrokerErrorKind.TIMEOUT, "TimeoutError") from None
        if isinstance(result, BrokerError):
            raise result
        answer: T = result
        return answer

    def _start(self, backend: Backend, question: Question[Any], now: float) -> _Count:
        self._evict(now)
        if len(self._counts) >= _MOST_COUNTS_AT_ONCE:
            raise BrokerError(BrokerErrorKind.TIMEOUT, f"{_MOST_COUNTS_AT_ONCE} other backends don't answer either")
        loop = asyncio.get_running_loop()
        count = self._counts[backend, question] = _Count(now, loop.create_future())
        count.result.add_done_callback(lambda _: self._counts.pop((backend, question)))

        def deliver(result: object) -> None:
            if not count.result.done():
                count.result.set_result(result)

        def run() -> None:
            result = self._answer(backend, question, now)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(deliver, result)

        # A daemon: the process may end while a client still tries.
        threading.Thread(target=run, name=f"count {backend.kind} {backend.app_id}", daemon=True).start()
        return count

    def _answer(self, backend: Backend, question: Question[Any], now: float) -> object:
        """In a thread. Whatever goes wrong there is the backend's error, and only its class is told."""
        try:
            client = self._clients.get(backend)
            if client is None:
                client = self._clients[backend] = _Client(self._connect(backend), now)
            client.used = now
            return question(client.broker, backend)
        except BrokerError as error:
            return error
        except Exception as error:  # noqa: BLE001 - any plugin's own
            return BrokerError(_kind_of(error), type(error).__name__)

    def _connect(self, backend: Backend) -> Any:  # noqa: ANN401 - a broker, of either line of pynenc
        if backend.kind is BackendKind.REDIS:
            url, host = checked_redis_url(backend.url)
            if not self._allow_local:
                _refuse_local(host)
            return _broker(
                backend,
                broker_cls="RedisBroker",
                redis_url=url,
                socket_timeout=_SOCKET_SECONDS,
                socket_connect_timeout=_SOCKET_SECONDS,
                # One pool serves all apps of a URL, each with one count at a time.
                redis_pool_max_connections=_MOST_COUNTS_AT_ONCE,
            )
        if backend.kind is BackendKind.SQLITE:
            _refuse_strange_file(Path(backend.url))
            return _broker(backend, broker_cls="SQLiteBroker", sqlite_db_path=backend.url)
        raise BrokerError(
            BrokerErrorKind.UNSUPPORTED, f"it has no pynenc plugin for {backend.kind}; use redis or sqlite"
        )

    def _evict(self, now: float) -> None:
        self._rest_until = {backend: until for backend, until in self._rest_until.items() if now < until}
        for backend, client in list(self._clients.items()):
            if now - client.used > _UNUSED_SECONDS and all(asked != backend for asked, _ in self._counts):
                del self._clients[backend]
                if backend.kind is BackendKind.REDIS:
                    client.broker.client.connection_pool.disconnect()


def _broker(backend: Backend, **values: object) -> Any:  # noqa: ANN401
    # No task is imported and no runner made: the broker alone needs neither. Its log would tell URLs.
    settings = {"app_id": backend.app_id, "logging_level": "critical", **values}
    return Pynenc(config_values=settings).broker


def _refuse_local(host: str) -> None:
    if any(is_local(str(address[4][0])) for address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)):
        raise refused_as_local()


def _refuse_strange_file(path: Path) -> None:
    """Only a file that is there, and where it says: SQLite would make a new one, and follow links elsewhere."""
    if not path.is_file():
        raise BrokerError(
            BrokerErrorKind.UNREACHABLE,
            "no such file: mount the volume of spec.backend.sqlite in the operator too; the app makes the file "
            "when it first enqueues",
        )
    if path.resolve() != path:
        raise BrokerError(BrokerErrorKind.REFUSED, "the path of the SQLite file leads through a link")


def _kind_of(error: Exception) -> BrokerErrorKind:
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & _AUTHENTICATION:
        return BrokerErrorKind.AUTHENTICATION
    if names & _TIMEOUTS:
        return BrokerErrorKind.TIMEOUT
    return BrokerErrorKind.UNSUPPORTED if isinstance(error, _BUGS) else BrokerErrorKind.UNREACHABLE
