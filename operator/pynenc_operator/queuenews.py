"""Queues of a Redis that tells when something comes in, so that one at rest need not be asked every second.

Redis remembers for a connection which keys it has read, and says once when one of them changes: `CLIENT TRACKING`,
which takes no setting of the server's. A connection to each URL, with a thread that waits on it, reads the lengths of
queues at rest. Whatever is not as it should be (an entry that is there, a connection that ends, a server that keeps
silent) makes a runner be looked at at once; the look says what it is. A server that can't tell is polled as any other.
"""

import asyncio
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from redis.exceptions import ResponseError

from pynenc_operator.model import Key

log = logging.getLogger(__name__)

PING_SECONDS: Final = 2.0  # a server that is silent is found out after this and the client's own patience, 1 s
TRY_AGAIN_SECONDS: Final = 5.0
UNABLE_SECONDS: Final = 300.0  # a server that can't tell may be another one by then


class Listener:
    """A connection on which one server tells of queues. `tell` is called in its thread, with the runners concerned."""

    def __init__(self, pool: Any, tell: Callable[[Iterable[Key]], None]) -> None:  # noqa: ANN401 - untyped in the client
        self._connection = pool.connection_class(**pool.connection_kwargs)
        self._tell = tell
        self._lock = threading.Lock()
        self._runners: dict[str, set[Key]] = {}  # those that wait, by their queue's name
        self._new: list[str] = []  # queues that are still to be read
        self._refused: set[str] = set()  # queues that may not be read
        self._wake, self._waker = os.pipe()
        self.live = False
        self.try_again_at: float | None = None  # once it has ended
        threading.Thread(target=self._run, name="queue news", daemon=True).start()

    def await_entry(self, key: Key, queue: str) -> bool:
        """Have a runner told of once something comes into its queue, or might have; whether it will be."""
        with self._lock:
            if not self.live or queue in self._refused:
                return False
            waiting = self._runners.setdefault(queue, set())
            if not waiting:
                self._new.append(queue)
                os.write(self._waker, b".")
            waiting.add(key)
        return True

    def forget(self, key: Key) -> None:
        """Tell no more of a runner."""
        with self._lock:
            for queue, waiting in list(self._runners.items()):
                waiting.discard(key)
                if not waiting:
                    del self._runners[queue]

    def close(self) -> None:
        """End, and tell nobody."""
        with self._lock:
            self._runners.clear()
            if self.try_again_at is None:
                self.live = False
                os.write(self._waker, b"x")

    def _run(self) -> None:
        pause = TRY_AGAIN_SECONDS
        try:
            self._begin()
            with self._lock:
                self.live = True
            while self._turn():
                pass
        except ResponseError:
            pause = UNABLE_SECONDS
        except Exception as error:  # noqa: BLE001 - any of the client's own; the looks that follow tell of it
            log.debug("a server tells no more of its queues: %s", type(error).__name__)
        finally:
            with self._lock:
                self.live = False
                self.try_again_at = time.monotonic() + pause
                left, self._runners = self._runners, {}
                os.close(self._wake)
                os.close(self._waker)
            with suppress(Exception):
                self._connection.disconnect()
            self._tell({key for waiting in left.values() for key in waiting})

    def _begin(self) -> None:
        self._connection.connect()
        if str(self._connection.protocol) != "3":
            raise ResponseError("the URL asks for a protocol in which no server tells anything")
        self._connection._parser.set_invalidation_push_handler(self._changed)  # noqa: SLF001 - the client's only way
        self._ask(("CLIENT", "TRACKING", "ON"))

    def _turn(self) -> bool:
        """Read queues that are new, then wait for news; whether to go on."""
        with self._lock:
            new, self._new = self._new, []
        self._read(new)
        if not self._connection.can_read(0):
            readable, _, _ = select.select([self._connection._sock, self._wake], [], [], PING_SECONDS)  # noqa: SLF001
            if not readable:
                self._ask(("PING",))
            if self._wake in readable and b"x" in os.read(self._wake, 4096):
                return False
            if self._connection._sock not in readable:  # noqa: SLF001
                return True
        self._connection.read_response(push_request=True)
        return True

    def _read(self, queues: list[str]) -> None:
        """Read the lengths of queues that are to be told of; one that may not be read is left to its runner's looks."""
        if not queues:
            return
        self._connection.send_packed_command(self._connection.pack_commands([("LLEN", queue) for queue in queues]))
        for queue in queues:
            try:
                news = bool(self._connection.read_response())
            except ResponseError:
                news = True
                with self._lock:
                    self._refused.add(queue)
            if news:
                self._take(queue)

    def _ask(self, command: tuple[str, ...]) -> None:
        self._connection.send_command(*command)
        self._connection.read_response()

    def _changed(self, message: list[Any]) -> None:
        """Take in what the server tells: the keys that have changed, or None for all there were."""
        with self._lock:
            queues = [raw.decode() for raw in message[1]] if message[1] is not None else [*self._runners]
        for queue in queues:
            self._take(queue)

    def _take(self, queue: str) -> None:
        """Tell those who wait for a queue, once."""
        with self._lock:
            told = self._runners.pop(queue, set())
        if told:
            self._tell(told)


class QueueNews:
    """The listeners of all servers, by URL."""

    def __init__(self, on_news: Callable[[Key], object]) -> None:
        """`on_news`: called in the event loop that this is made in."""
        self._on_news = on_news
        self._loop = asyncio.get_running_loop()
        self._listeners: dict[str, Listener] = {}
        self._urls: dict[Key, str] = {}

    def await_entry(self, key: Key, url: str, broker: Any) -> bool:  # noqa: ANN401
        """Have a runner told of once something comes into its queue, or might have; whether it will be."""
        if self._urls.get(key, url) != url:
            self.forget(key)
        self._urls[key] = url
        listener = self._listeners.get(url)
        if listener and listener.try_again_at is not None and time.monotonic() >= listener.try_again_at:
            listener = None
        if listener is None:
            listener = self._listeners[url] = Listener(broker.client.connection_pool, self._tell)
        return listener.await_entry(key, broker.key.default_queue())

    def forget(self, key: Key) -> None:
        """Tell no more of a runner; a server that no other runner is on is left."""
        url = self._urls.pop(key, None)
        if url is None:
            return
        self._listeners[url].forget(key)
        if url not in self._urls.values():
            self._listeners.pop(url).close()

    def close(self) -> None:
        """Leave all servers."""
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        self._urls.clear()

    def _tell(self, keys: Iterable[Key]) -> None:
        """In a listener's thread."""
        with suppress(RuntimeError):  # the loop has ended meanwhile
            for key in keys:
                self._loop.call_soon_threadsafe(self._on_news, key)
