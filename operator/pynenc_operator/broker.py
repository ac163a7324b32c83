"""Asks backends through pynenc's own brokers, with a hard deadline.

Their clients block, retry as they see fit (RabbitMQ's for ever) and can't be cancelled. So each
question is answered in a thread of its own that nobody has to wait for: it is asked once at a time, and
those of one server and all of them together are bounded. Counts of one Redis, of all queues and of invocations,
share a thread and a round trip: while one is under way, those that are asked for meanwhile gather for the next.

A server that has not answered in time rests, for all its runners: meanwhile their questions fail at once.
After the rest one of them tries, and the others rest on until it has an answer.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from pynenc_operator.arrivals import Arrivals, Arrived
from pynenc_operator.backends import Backend, BrokerError, BrokerErrorKind
from pynenc_operator.brokerclients import UNUSED_SECONDS, BrokerClients
from pynenc_operator.pipelines import Asked, answer_all, as_broker_error
from pynenc_operator.questions import PIPELINED, Pipelined, QueueCount
from pynenc_operator.redisqueues import Queues

# Called with pynenc's broker, in a thread; two that are equal are one.
type Question[T] = Callable[[Any, Backend], T]
# The backend's kind, what came of a question (an error's kind, or "Answered"), and its seconds.
type PollHook = Callable[[str, str, float], None]

DEADLINE_SECONDS: Final = 2.0
_REST_SECONDS: Final = 5.0  # after a timeout: a dead server must not hold up what could be done meanwhile
_LOOK_FOR_UNUSED_SECONDS: Final = 10.0  # it takes a walk over all of them
_MOST_COUNTS_AT_ONCE: Final = 64
_MOST_COUNTS_OF_A_SERVER: Final = 8  # it may be the one that does not answer: others need the rest
_MOST_TOGETHER: Final = 250  # in a pipeline: some ms of a Redis and of this process


@dataclass(slots=True)
class _Count:
    ask: "_Ask"
    started: float
    result: "asyncio.Future[Any]"


@dataclass(slots=True)
class _Server:
    used: float
    silent: bool = False  # its latest count got no answer in time
    rest_until: float = 0.0
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_COUNTS_OF_A_SERVER))


type _Ask = tuple[Backend, Question[Any]]
type _Gathered = dict[tuple[Backend, Pipelined], _Count]


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
        self._clients = BrokerClients(allow_local=allow_local, connections=_MOST_COUNTS_OF_A_SERVER)
        self._on_poll = on_poll
        self._arrivals = Arrivals(on_arrival)
        self._deadline = deadline
        self._monotonic = monotonic
        self._counts: dict[_Ask, _Count] = {}
        self._gathered: dict[str, _Gathered] = {}  # by URL, for its next pipeline
        self._under_way: dict[str, asyncio.Task[None]] = {}  # by URL
        self._threads = 0
        self._servers: dict[str, _Server] = {}
        self._evict_at = 0.0

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

    def hears(self, backend: Backend) -> bool:
        """Whether `on_arrival` will be called when something comes into these queues, which were empty."""
        in_use = self._clients.redis_keys(backend, self._monotonic())
        return in_use is not None and self._arrivals.hears(backend)

    def close(self) -> None:
        """Listen to no server any more, and close all connections."""
        self._arrivals.close()
        self._clients.close()

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
                # Making a client takes some ms, and they would add up in a thread: a new one's first count goes alone.
                together = backend.has_redis_queues and backend in self._clients
                if count is None and isinstance(question, PIPELINED) and together:
                    count = self._gather(backend, question, server, now)
                elif count is None:
                    await server.places.acquire()
                    count = self._start(backend, question, server, now)
                return await asyncio.shield(count.result)
        except TimeoutError:
            return _no_answer()

    def _gather(self, backend: Backend, question: Pipelined, server: _Server, now: float) -> _Count:
        """Have it asked with the next pipeline of its URL: at once, with what is due in the same moment."""
        count = self._new_count((backend, question), now)
        self._gathered.setdefault(backend.url, {})[backend, question] = count
        if backend.url not in self._under_way:
            self._under_way[backend.url] = asyncio.create_task(self._send_gathered(backend.url, server))
        return count

    async def _send_gathered(self, url: str, server: _Server) -> None:
        """Send one pipeline after the other, until nothing has gathered."""
        try:
            while self._gathered.get(url):
                async with server.places:
                    waiting = self._gathered.pop(url)
                    now = self._monotonic()
                    some = {ask: count for ask, count in waiting.items() if now < count.started + self._deadline}
                    for count in (count for ask, count in waiting.items() if ask not in some):
                        self._finish(count, _no_answer())  # nobody waits for it any more
                    now_sent = dict(islice(some.items(), _MOST_TOGETHER))
                    self._gathered[url] = {ask: count for ask, count in some.items() if ask not in now_sent}
                    if now_sent:
                        self._send(now_sent, now)
                        await asyncio.wait([count.result for count in now_sent.values()])
        finally:
            del self._under_way[url]
            self._gathered.pop(url, None)

    def _send(self, counts: _Gathered, now: float) -> None:
        self._evict(now)

        def answer() -> Sequence[Any]:
            asked: list[Asked] = [(self._clients.broker(it, now), question, it) for it, question in counts]
            return answer_all(asked)

        self._start_thread(f"answer {len(counts)} questions", answer, [*counts.values()])

    def _start(self, backend: Backend, question: Question[Any], server: _Server, now: float) -> _Count:
        """Start a count in a place of its server, or join one that another runner has started meanwhile."""
        self._evict(now)
        if (backend, question) in self._counts:
            server.places.release()
            return self._counts[backend, question]
        count = self._new_count((backend, question), now)
        count.result.add_done_callback(lambda _: server.places.release())

        def answer() -> Sequence[Any]:
            return [question(self._clients.broker(backend, now), backend)]

        self._start_thread(f"count {backend.kind} {backend.app_id}", answer, [count])
        return count

    def _new_count(self, ask: _Ask, now: float) -> _Count:
        count = self._counts[ask] = _Count(ask, now, asyncio.get_running_loop().create_future())
        return count

    def _finish(self, count: _Count, result: Any) -> None:  # noqa: ANN401
        del self._counts[count.ask]
        count.result.set_result(result)
        backend, _ = count.ask
        if not isinstance(result, QueueCount) or result.waiting:
            return
        if keys := self._clients.redis_keys(backend, self._monotonic()):
            queues = Queues.of(keys.prefix, backend.queues, (mark.queue for mark in result.marks))
            self._arrivals.expect(backend, queues.quiet(), keys.pool)

    def _start_thread(self, name: str, answer: Callable[[], Sequence[Any]], counts: list[_Count]) -> None:
        """Have counts answered, with an error where no thread can be had."""
        loop = asyncio.get_running_loop()

        def ended(results: Sequence[Any]) -> None:
            self._threads -= 1
            for count, result in zip(counts, results, strict=True):
                self._finish(count, result)

        def run() -> None:
            results: Sequence[Any]
            try:
                results = answer()
            except Exception as error:  # noqa: BLE001 - any plugin's own
                results = [as_broker_error(error)] * len(counts)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(ended, results)

        self._threads += 1
        cause = f"{self._threads - 1} others have no answer yet" if self._threads > _MOST_COUNTS_AT_ONCE else ""
        if not cause:
            try:  # a daemon: the process may end while a client still tries
                threading.Thread(target=run, name=name, daemon=True).start()
            except RuntimeError as error:
                cause = f"{error}: raise its memory limit, or its node's limit of processes in a pod"
        if cause:
            ended([BrokerError(BrokerErrorKind.OVERLOADED, cause)] * len(counts))

    def _evict(self, now: float) -> None:
        if now < self._evict_at:
            return
        self._evict_at = now + _LOOK_FOR_UNUSED_SECONDS
        self._servers = {name: it for name, it in self._servers.items() if now - it.used < UNUSED_SECONDS}
        self._clients.evict(now, {backend for backend, _ in self._counts})


def _no_answer() -> BrokerError:
    return BrokerError(BrokerErrorKind.TIMEOUT, "TimeoutError")
