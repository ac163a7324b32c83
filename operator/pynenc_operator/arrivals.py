"""Tells at once when an empty queue gets work, where its Redis can say so: counting every interval stays the net.

Redis 6 and later tell a client when a key that it has read changes (`CLIENT TRACKING`, the server's side of
client-side caching): once, at the first change. No setting of the server is needed, and while nothing happens only
whether it is still there is asked, every 2 s. So a queue that was counted empty is read once more on a connection
that listens, one for each URL; what comes to it then wakes its runners. A server that can't, or may not for this
user, is counted every interval as any other backend is.

Source: redis.io, "Client-side caching in Redis" (the default mode, RESP3).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from redis import ConnectionPool, RedisError
from redis.exceptions import ResponseError

from pynenc_operator.backends import Backend, BrokerError

log = logging.getLogger(__name__)

type Arrived = Callable[[Backend], None]


@dataclass(frozen=True, slots=True)
class Quiet:
    """What a key says while nothing has come: a command that only reads it, and its answer."""

    command: str
    key: str
    answer: int


LISTEN_SECONDS: Final = 0.25  # how long it listens before it looks for queues that have become empty
QUIET_SECONDS: Final = (
    1.0  # a queue wakes its runners no more often: whoever empties it at once would do so all the time
)
CHECK_SECONDS: Final = 2.0  # a server that went without a word is noticed so, after the client's own patience of 1 s
UNUSED_SECONDS: Final = 600.0
MOST_LISTENERS: Final = 128  # each is a thread and a connection; queues on further URLs are counted every interval
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 60.0
_UNABLE_SECONDS: Final = 600.0


class Arrivals:
    """The empty queues of all servers. `arrived` is called in a thread."""

    def __init__(self, arrived: Arrived) -> None:
        self._arrived = arrived
        self._lock = threading.Lock()
        self._listeners: dict[str, _Listener] = {}
        self._closed = False

    def expect(self, backend: Backend, quiet: Sequence[Quiet], pool: ConnectionPool) -> None:
        """Have `arrived` called when a backend's queues, just counted empty by `pool`, are so no longer.

        `quiet`: what their keys say until then.
        """
        with self._lock:
            if self._closed:
                return
            listener = self._listeners.get(backend.url)
            if listener is None or not listener.is_alive():
                self._listeners = {url: it for url, it in self._listeners.items() if it.is_alive()}
                if len(self._listeners) >= MOST_LISTENERS:
                    return
                listener = self._listeners[backend.url] = _Listener(backend.server, pool, self._arrived)
                with suppress(RuntimeError):  # no more threads: the next count tries again
                    listener.start()
            listener.expect(backend, quiet)

    def hears(self, backend: Backend) -> bool:
        """Whether `arrived` will be called: the server has been asked to tell, or it is told when it no longer can."""
        with self._lock:
            listener = self._listeners.get(backend.url)
        return listener is not None and listener.hears(backend)

    def close(self) -> None:
        """End all listening."""
        with self._lock:
            self._closed = True
            for listener in self._listeners.values():
                listener.close()
            self._listeners.clear()


class _Unable(Exception):  # noqa: N818 - no error
    """Neither now nor in a minute: the server, or the user on it, has no way to tell of changes."""


class _Listener(threading.Thread):
    """One connection and the queues of its URL; ends when none of them has been empty for long."""

    def __init__(self, server: str, pool: ConnectionPool, arrived: Arrived) -> None:
        super().__init__(name=f"listen {server}", daemon=True)
        self._server = server
        # The client's own health check would connect anew unseen, and the new connection would tell of nothing.
        options = pool.connection_kwargs | {"protocol": 3, "health_check_interval": 0}
        self._connection: Any = pool.connection_class(**options)
        self._arrived = arrived
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._wanted: dict[bytes, Quiet] = {}  # to be read, so that the server tells of their next change
        self._told: dict[bytes, Quiet] = {}  # of which it will tell
        self._hearers: dict[bytes, set[Backend]] = {}  # a queue that several runners serve is told to all of them
        self._keys: dict[Backend, Set[bytes]] = {}
        self._woken: dict[bytes, float] = {}
        self._used = time.monotonic()
        self._asked: dict[Backend, float] = {}  # when somebody last cared

    def expect(self, backend: Backend, quiet: Sequence[Quiet]) -> None:
        """Have these keys read, unless the server will tell of them anyway. In another thread."""
        with self._lock:
            self._asked[backend] = self._used = time.monotonic()
            wanted = {each.key.encode(): each for each in quiet}
            self._let_go(backend, keep=wanted.keys())
            self._keys[backend] = wanted.keys()
            for key, each in wanted.items():
                self._hearers.setdefault(key, set()).add(backend)
                if self._told.get(key) != each:
                    self._told.pop(key, None)
                    self._wanted[key] = each

    def hears(self, backend: Backend) -> bool:
        with self._lock:
            keys = self._keys.get(backend)
            if not keys or not keys <= self._told.keys() or not self.is_alive():
                return False
            self._asked[backend] = self._used = time.monotonic()
            return True

    def close(self) -> None:
        self._ending.set()

    def run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._is_over():
            began = time.monotonic()
            try:
                self._listen()
            except (RedisError, OSError, BrokerError):  # counting says what is wrong
                lasted = time.monotonic() - began
                pause = _FIRST_PAUSE_SECONDS if lasted > CHECK_SECONDS else min(2 * pause, _LONGEST_PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - whatever the client makes of what is no Redis; it may hold the URL
                told = str(error) if isinstance(error, _Unable) else type(error).__name__
                log.info("%s can't tell of arrivals (%s): counted every interval", self._server, told)
                pause = _UNABLE_SECONDS
            finally:
                self._connection.disconnect()
                with self._lock:  # the lengths that are read next say what has changed meanwhile
                    unheard, self._told = self._told, {}
                    self._wanted |= unheard
                    unsure = set().union(*(self._hearers.get(key, ()) for key in unheard))
            if not self._ending.is_set():
                for backend in unsure:  # who relies on being told counts for himself now
                    self._arrived(backend)
            self._ending.wait(pause)

    def _listen(self) -> None:
        self._connect()
        check_at = time.monotonic() + CHECK_SECONDS
        while not self._is_over():
            self._read_wanted()
            if self._connection.can_read(timeout=LISTEN_SECONDS):
                self._connection.read_response(push_request=True)
            elif time.monotonic() > check_at:
                self._forget_unused()
                self._read(list(self._told.values())[:1])
                check_at = time.monotonic() + CHECK_SECONDS

    def _connect(self) -> None:
        try:
            self._connection.connect()
            # The parser is asked as the client's own cache does it: nothing public hands on what is pushed.
            self._connection._parser.set_invalidation_push_handler(self._changed)  # noqa: SLF001
            self._connection.send_command("CLIENT", "TRACKING", "ON")
            self._connection.read_response()
        except ResponseError as error:
            if str(error).startswith(("BUSY", "LOADING", "MASTERDOWN")):  # for the moment
                raise
            raise _Unable(type(error).__name__) from None

    def _read_wanted(self) -> None:
        now = time.monotonic()
        with self._lock:
            self._woken = {key: at for key, at in self._woken.items() if now - at < QUIET_SECONDS}
            due = {key: quiet for key, quiet in self._wanted.items() if key not in self._woken}
            self._wanted = {key: quiet for key, quiet in self._wanted.items() if key in self._woken}
            self._told |= due
        self._read(list(due.values()))

    def _read(self, quiet: list[Quiet]) -> None:
        """Read what these keys say; the server tells of their next change, maybe between its answers."""
        if not quiet:
            return
        commands = [(each.command, each.key) for each in quiet]
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        for each in quiet:
            answer: Any = None
            while answer is None:  # as it is for what the server said on its own
                try:
                    answer = self._connection.read_response(push_request=True)
                except ResponseError as refused:  # not for this user: counting says so, and the others go on
                    answer = refused
            if answer != each.answer:
                self._wake(each.key.encode())

    def _forget_unused(self) -> None:
        """Let go of queues whose runners are gone."""
        with self._lock:
            now = time.monotonic()
            for backend in [it for it, at in self._asked.items() if now - at >= UNUSED_SECONDS]:
                del self._asked[backend]
                self._let_go(backend)

    def _let_go(self, backend: Backend, keep: Set[bytes] = frozenset()) -> None:
        """Have it told of no key until it expects that again; what nobody is told of is not read. With the lock."""
        for key in self._keys.pop(backend, frozenset()) - keep:
            self._hearers[key].discard(backend)
            if not self._hearers[key]:
                for keys in (self._hearers, self._told, self._wanted):
                    keys.pop(key, None)

    def _changed(self, push: list[Any]) -> None:
        """Take in what the server says on its own: keys that have changed, or None for all of them."""
        _, keys = push
        for key in list(self._told) if keys is None else keys:
            self._wake(bytes(key))

    def _wake(self, key: bytes) -> None:
        with self._lock:
            woken = list(self._hearers[key]) if key in self._told else []
            if woken:
                self._woken[key] = time.monotonic()
            for backend in woken:
                self._let_go(backend)
        for backend in woken:
            self._arrived(backend)

    def _is_over(self) -> bool:
        return self._ending.is_set() or time.monotonic() - self._used > UNUSED_SECONDS
