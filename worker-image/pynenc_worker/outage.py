"""A broker that is away for a while: what a task did in the meantime is kept and written afterwards.

pynenc writes a result with several calls to its backend; the first that fails makes it record the task as
failed, or nothing at all. Here each single call that a task's thread makes waits for the backend instead.
The thread stays alive, so the worker counts as active until the result stands. The worker's own loop is not
held up: its calls fail at once and it comes back later.
"""

import functools
import inspect
import random
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, cast

from pynenc import Pynenc
from pynenc.broker.base_broker import BaseBroker
from pynenc.client_data_store.base_client_data_store import BaseClientDataStore
from pynenc.exceptions import InvocationStatusError
from pynenc.invocation.status import InvocationStatus
from pynenc.invocation.status import InvocationStatusRecord as Record
from pynenc.orchestrator.base_orchestrator import BaseBlockingControl, BaseOrchestrator
from pynenc.state_backend.base_state_backend import BaseStateBackend
from pynenc.trigger.base_trigger import BaseTrigger

from pynenc_worker.logs import log
from pynenc_worker.redisservers import of_a_cluster

FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 2.0
LONGEST_LOOP_PAUSE_SECONDS: Final = 5.0

# By module, so that nothing is imported that the app does not use.
_ERRORS: Final = {
    "redis.exceptions": ("ConnectionError", "TimeoutError", "ReadOnlyError", "ClusterDownError", "OutOfMemoryError"),
    "pymongo.errors": ("ConnectionFailure", "NotPrimaryError"),
    "pika.exceptions": ("AMQPError",),
}
# MongoDB's codes for a server that is away, full, or refuses who asks: Unauthorized and AuthenticationFailed while a
# password is rotated, HostUnreachable, HostNotFound, NetworkTimeout, SocketException, ExceededTimeLimit, both write
# concerns that can't be met, OutOfDiskSpace. What a failover answers has a class of its own.
_MONGODB_CODES: Final = frozenset({6, 7, 13, 18, 64, 89, 100, 262, 9001, 14031})
_SQLITE_ERRORS: Final = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_CANTOPEN",
    "SQLITE_IOERR",
    "SQLITE_FULL",
    "SQLITE_READONLY",
)


def is_outage(error: BaseException) -> bool:
    """Whether the backend was away or full, rather than the call wrong."""
    if isinstance(error, sqlite3.OperationalError):
        return str(getattr(error, "sqlite_errorname", "")).startswith(_SQLITE_ERRORS)
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    refusal = getattr(sys.modules.get("pymongo.errors"), "OperationFailure", None)
    if refusal and isinstance(error, refusal) and error.code in _MONGODB_CODES:
        return True
    for module, names in _ERRORS.items():
        known = (getattr(sys.modules.get(module), name, ()) for name in names)
        if isinstance(error, tuple(cls for cls in known if cls)):
            return True
    return False


def is_hopeless(error: BaseException, *, ready: bool) -> bool:
    """Whether it is no use to try again: a Redis Cluster, or, before all is `ready`, whatever is no outage."""
    return of_a_cluster(error) or not (ready or is_outage(error))


class Backoff:
    """Growing pauses, each up to a quarter shorter by chance so that workers don't come back as one."""

    def __init__(self, first: float = FIRST_PAUSE_SECONDS, longest: float = LONGEST_PAUSE_SECONDS) -> None:
        self._first = self._next = first
        self._longest = longest

    def pause(self) -> float:
        """The next pause in seconds."""
        pause = self._next * random.uniform(0.75, 1.0)  # noqa: S311 - no secret
        self._next = min(self._next * 2, self._longest)
        return pause

    def reset(self) -> None:
        """Start again with the first pause."""
        self._next = self._first


class OutageWatch:
    """What a loop notes about its broker: one log line when it goes away, one when it is back."""

    def __init__(
        self,
        *,
        on_error: Callable[[], None],
        on_begin: Callable[[], None],
        on_end: Callable[[], None],
        ask: Callable[[], object],
    ) -> None:
        """`ask`: asks the broker something, and fails while it is away."""
        self._on_error = on_error
        self._on_begin = on_begin
        self._on_end = on_end
        self._ask = ask
        self._backoff = Backoff(longest=LONGEST_LOOP_PAUSE_SECONDS)
        self._began: float | None = None

    def failed(self, error: Exception) -> float:
        """A round failed; returns how long to wait before the next."""
        self._on_error()
        if self._began is None:
            self._began = time.monotonic()
            self._on_begin()
            log.warning("the broker can't be reached (%s): trying again until it can", type(error).__name__)
        return self._backoff.pause()

    def succeeded(self) -> None:
        """A round went well. In an outage that says nothing if it had no need of the broker: so it is asked.

        :raises Exception: the broker is still away
        """
        if self._began is not None:
            self._ask()
            log.info("the broker is back after %.1f s", time.monotonic() - self._began)
            self._began = None
            self._on_end()
        self._backoff.reset()


class PatientCalls:
    """Wraps an app's components so that calls from tasks' threads outlast an outage."""

    def __init__(self, on_error: Callable[[], None]) -> None:
        self._local = threading.local()
        self._on_error = on_error

    def in_task(self, invocation_id: str) -> None:
        """Say that this thread runs this invocation from here on."""
        self._local.invocation_id = invocation_id

    def install(self, app: Pynenc) -> None:
        """Wrap what a backend implements: the abstract methods, each of which can be repeated."""
        for component, base in (
            (app.orchestrator, BaseOrchestrator),
            (app.orchestrator.blocking_control, BaseBlockingControl),
            (app.broker, BaseBroker),
            (app.state_backend, BaseStateBackend),
            (app.trigger, BaseTrigger),
            (app.client_data_store, BaseClientDataStore),
        ):
            for name in base.__abstractmethods__:
                method = getattr(component, name)
                if name == "_atomic_status_transition":
                    method = _repeatable(component, method)
                if inspect.ismethod(method) or inspect.isfunction(method):
                    setattr(component, name, self._patient(name, method))

    def _patient[**P, R](self, name: str, method: Callable[P, R]) -> Callable[P, R]:
        lazy = inspect.isgeneratorfunction(method)

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            answer = method(*args, **kwargs)
            return cast("R", iter(list(cast("Iterable[object]", answer)))) if lazy else answer

        @functools.wraps(method)
        def patient(*args: P.args, **kwargs: P.kwargs) -> R:
            invocation_id = getattr(self._local, "invocation_id", None)
            if invocation_id is None:
                return method(*args, **kwargs)
            backoff, began = Backoff(), None
            while True:
                try:
                    answer = call(*args, **kwargs)
                except Exception as error:
                    if not is_outage(error):
                        raise
                    self._on_error()
                    if began is None:
                        began = time.monotonic()
                        cause = type(error).__name__
                        log.warning("invocation %s waits for the broker: %s in %s", invocation_id, cause, name)
                    time.sleep(backoff.pause())
                    continue
                if began is not None:
                    waited = time.monotonic() - began
                    log.info("invocation %s goes on after %.1f s: %s is done", invocation_id, waited, name)
                return answer

        return patient


def _repeatable(orchestrator: BaseOrchestrator, transition: Callable[..., Record]) -> Callable[..., Record]:
    """A status transition that may be asked for again after an answer was lost: the second one finds it done."""
    failed: set[tuple[str, InvocationStatus]] = set()

    @functools.wraps(transition)
    def repeatable(invocation_id: str, status: InvocationStatus, runner_id: str | None = None) -> Record:
        wanted = (invocation_id, status)
        try:
            record = transition(invocation_id, status, runner_id)
        except InvocationStatusError:
            if wanted not in failed:
                raise
            record = orchestrator.get_invocation_status_record(invocation_id)
            if record.status is not status or record.runner_id not in (None, runner_id):
                raise
        except Exception:
            failed.add(wanted)
            raise
        failed.discard(wanted)
        return record

    return repeatable
