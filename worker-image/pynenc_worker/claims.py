"""Invocations that this worker has taken and not started yet.

Taking one is two steps of pynenc, out of the queue and to PENDING, and neither is undone when the next
fails: the id would be in no queue, or PENDING under a worker that does not know of it. So both steps are
noted before they are made, and what has no thread when a round ends is settled.
"""

import functools
import threading
from collections.abc import Callable
from typing import Final

from pynenc import Pynenc
from pynenc.invocation.dist_invocation import DistributedInvocation
from pynenc.invocation.status import InvocationStatus as S
from pynenc.invocation.status import InvocationStatusRecord
from pynenc.runner.runner_context import RunnerContext

from pynenc_worker import invocations
from pynenc_worker.logs import log
from pynenc_worker.outage import is_outage

# An import that fails as in an outage, while the broker answers, is no outage; and a start that pynenc can't
# make for another reason is not tried for ever.
TRIES: Final = 5


class Claims:
    """The notes, and how they are settled. Used from the runner's loop alone."""

    def __init__(self, app: Pynenc, context: RunnerContext) -> None:
        self._app = app
        self._context = context
        self._tries: dict[str, int] = {}
        self._open: dict[str, None] = {}  # in the order they came
        self._watcher: int | None = None  # the thread that takes work, while it does

    def __len__(self) -> int:
        """How many invocations are taken and not started."""
        return len(self._open)

    def install(self) -> None:
        """Note what the app's components hand out while the loop takes work."""
        broker, orchestrator, state_backend = self._app.broker, self._app.orchestrator, self._app.state_backend
        broker.retrieve_invocation = self._noting_popped(broker.retrieve_invocation)
        state_backend.get_invocation = self._noting_unloadable(state_backend.get_invocation)
        orchestrator._atomic_status_transition = self._noting_pending(orchestrator._atomic_status_transition)  # noqa: SLF001 - the one place all transitions pass

    def watch(self) -> None:
        """From here on, note what this thread takes."""
        self._watcher = threading.get_ident()

    def started(self, invocation_id: str) -> None:
        """It has a thread now, which is responsible for it."""
        self._open.pop(invocation_id, None)
        self._tries.pop(invocation_id, None)

    def taken(self) -> None:
        """A round ended without an error: pynenc has decided about each one that got no thread."""
        self._watcher = None
        self._open.clear()

    def settle(self, error: Exception | None = None) -> int:
        """Decide about what a broken round left; returns how many invocations were failed.

        :param error: what broke the round, if it was not the backend: blamed on the last one taken
        :raises Exception: the backend is away; the notes stay
        """
        self._watcher = None
        failed = 0
        blamed = next(reversed(self._open), None) if error is not None else None
        for invocation_id in list(self._open):
            failed += self._settle(invocation_id, error if invocation_id == blamed else None)
            self._open.pop(invocation_id, None)
        return failed

    def _settle(self, invocation_id: str, error: Exception | None) -> int:
        try:
            record = self._app.orchestrator.get_invocation_status_record(invocation_id)
        except KeyError:
            log.warning("invocation %s was in the queue and is not known to the backend: dropped", invocation_id)
            return 0
        ours = record.status is S.PENDING and record.runner_id == self._context.runner_id
        if not (ours or record.status.is_available_for_run() or record.status is S.CONCURRENCY_CONTROLLED):
            return 0
        cause = self._unloadable(invocation_id) or (error if self._tried_enough(invocation_id, error) else None)
        if cause is not None:
            self._tries.pop(invocation_id, None)
            reason = invocations.start_failure(cause)
            log.error("invocation %s is failed: %s", invocation_id, reason)
            invocations.fail(self._app, self._context, invocation_id, reason)
            return 1
        if record.status.is_available_for_run():
            invocations.enqueue(self._app, invocation_id)
        else:
            self._app.orchestrator.reroute_invocations({invocation_id}, self._context)
        return 0

    def _unloadable(self, invocation_id: str) -> Exception | None:
        """What keeps the invocation's task from being loaded here, if anything does."""
        try:
            self._app.state_backend.get_invocation(invocation_id)
        except Exception as error:
            if is_outage(error) and not self._tried_enough(invocation_id, error):
                raise
            return error
        return None

    def _tried_enough(self, invocation_id: str, error: Exception | None) -> bool:
        if error is None:
            return False
        self._tries[invocation_id] = self._tries.get(invocation_id, 0) + 1
        return self._tries[invocation_id] >= TRIES

    def _watched(self) -> bool:
        return self._watcher == threading.get_ident()

    def _noting_popped[**P](self, retrieve: Callable[P, str | None]) -> Callable[P, str | None]:
        @functools.wraps(retrieve)
        def noting(*args: P.args, **kwargs: P.kwargs) -> str | None:
            invocation_id = retrieve(*args, **kwargs)
            if invocation_id and self._watched():
                self._open[str(invocation_id)] = None
            return invocation_id

        return noting

    def _noting_unloadable(
        self, load: Callable[[str], DistributedInvocation]
    ) -> Callable[[str], DistributedInvocation]:
        @functools.wraps(load)
        def noting(invocation_id: str) -> DistributedInvocation:
            try:
                return load(invocation_id)
            except Exception:
                if self._watched():  # a child that a task waits for is started without having been in a queue
                    self._open[str(invocation_id)] = None
                raise

        return noting

    def _noting_pending(
        self, transition: Callable[..., InvocationStatusRecord]
    ) -> Callable[..., InvocationStatusRecord]:
        @functools.wraps(transition)
        def noting(invocation_id: str, status: S, runner_id: str | None = None) -> InvocationStatusRecord:
            if status is S.PENDING and self._watched():
                self._open[str(invocation_id)] = None
            return transition(invocation_id, status, runner_id)

        return noting
