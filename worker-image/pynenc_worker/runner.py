"""pynenc's ThreadRunner with an ending that interrupts nothing, and a loop that outlives its broker.

Stock pynenc answers SIGTERM by putting running invocations back into the queue while they go on, so they
run twice; it leaves its loop at the first error of the broker or of one task's import. This subclass takes
its place on pynenc 0.3.1 and 0.4 alike, by the methods that both have.
"""

import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from types import FrameType
from typing import Final

from pynenc import Pynenc, context
from pynenc.app import AppInfo
from pynenc.core_tasks import core_tasks_registry
from pynenc.invocation.dist_invocation import DistributedInvocation
from pynenc.runner.runner_context import RunnerContext
from pynenc.runner.thread_runner import ThreadInfo

from pynenc_worker.activity import Observation
from pynenc_worker.claims import Claims
from pynenc_worker.drain import Drain
from pynenc_worker.execution import Execution
from pynenc_worker.invocations import hand_back
from pynenc_worker.logs import log
from pynenc_worker.metrics import WorkerMetrics
from pynenc_worker.outage import LONGEST_LOOP_PAUSE_SECONDS, OutageWatch, PatientCalls, is_hopeless, is_outage
from pynenc_worker.waiting import WaitingThreadRunner

# With a free thread, work is taken within 0.2 s, or 0.35 s after a long rest (see packing): the operator counts
# on it. pynenc's own look at an empty queue blocks for another 0.1 s.
LOOP_PAUSE_SECONDS: Final = 0.1
ENDING_SECONDS: Final = 0.5  # what a thread needs for its end, once its invocation is back in the queue


class DrainableThreadRunner(WaitingThreadRunner):
    """Runs invocations in threads until it is told to stop and the last of them has ended."""

    def __init__(
        self,
        app: Pynenc,
        *,
        runner_context: RunnerContext,
        drain: Drain,
        metrics: WorkerMetrics,
        may_take: Callable[[float], bool],
        on_change: Callable[[], None],
        outage: OutageWatch,
    ) -> None:
        """Prepare a runner, and wrap what the app's components do for it.

        :param may_take: whether to look for work now, given the seconds without a thread
        :param on_change: called from any thread when one starts or ends
        :param outage: is told by the loop how its rounds go
        """
        super().__init__(app, runner_context=runner_context)
        calls = PatientCalls(on_error=metrics.broker_failed)
        self.chores: list[Callable[[], None]] = []  # called in each round of the loop
        self.claims = Claims(app, self.runner_context)
        self.execution = Execution(app, self.runner_context, calls, metrics, self._thread_ended)
        self.handed_back = False
        self._last_ended = time.monotonic()
        self._drain = drain
        self._metrics = metrics
        self._may_take = may_take
        self._on_change = on_change
        self.wake = threading.Event()  # set: the loop goes round at once
        self._outage = outage
        self._started = 0
        self._taking = False
        self._ready = False
        self._known_draining = False
        calls.install(app)
        self.claims.install()
        self.execution.install()

    # What pynenc calls.

    def stop_runner_loop(self, signum: int | None = None, frame: FrameType | None = None) -> None:
        """SIGTERM, SIGINT: take no more work. A second SIGINT, from a terminal, gives up what still runs."""
        del frame
        if self._drain.stopping and signum == signal.SIGINT:
            self._drain.hand_back_now()
        self._drain.stop(signal.Signals(signum).name if signum is not None else "a call of stop_runner_loop")

    def init_trigger_tasks_modules(self) -> None:
        """Register pynenc's core tasks without their crons, and remove those that a stock runner registered.

        As queue items they start pods and keep pods active; their work is done in the atomic slot instead.
        """
        self.app.register_core_tasks = self._register_core_tasks
        super().init_trigger_tasks_modules()

    def _register_core_tasks(self) -> None:
        for definition in core_tasks_registry.definitions:
            task = self.app.task(definition.func, **definition.options)
            self.app.trigger.clean_task_trigger_definitions(task.task_id)

    # The loop.

    def install_signal_handlers(self) -> None:
        """From here on a signal drains; from the main thread."""
        signal.signal(signal.SIGTERM, self.stop_runner_loop)
        signal.signal(signal.SIGINT, self.stop_runner_loop)

    def run(self) -> None:
        """Work until a stop was asked for and the last thread has ended, or the drain timeout is over."""
        context.set_current_app(self.app)
        context.set_current_runner(self.app.app_id, self)
        while not self._finished():
            pause = LOOP_PAUSE_SECONDS
            try:
                self._round()
                self._outage.succeeded()
            except Exception as error:
                if not self._started and is_hopeless(error, ready=self._ready):
                    raise
                pause = self._after_failure(error)
            self._pause(pause)
        self.running = False
        self._run_stopped.set()

    def observe(self) -> Observation:
        """What the runner does now; called from the reporter's thread."""
        return Observation(  # in this order: what was popped before a drain is held when asked next, or live at last
            drain_id=self._drain.request_id,
            draining=self._drain.active,
            holding=not self.handed_back and (self._taking or len(self.claims) > 0),
            live=0 if self.handed_back else sum(info.thread.is_alive() for info in list(self.threads.values())),
            started=self._started,
            last_ended=self._last_ended,
        )

    def _finished(self) -> bool:
        self.threads = {key: info for key, info in self.threads.items() if info.thread.is_alive()}
        held = bool(self.threads or self.claims)
        if held and self._drain.active and self._drain.expired:
            self._hand_back()
        return self.handed_back or (self._drain.stopping and not held)

    def _round(self) -> None:
        self._metrics.went_round()
        if self._drain.active is not self._known_draining:
            self._known_draining = self._drain.active
            reason = self._drain.stop_reason or f"drain request {self._drain.request_id}"
            what = f"{reason}: taking no more work" if self._drain.active else "taking work again"
            log.info("%s, %d invocations run", what, len(self.threads))
        if not self._ready:
            self.app.state_backend.store_app_info(AppInfo.from_app(self.app))
            self.on_start()
            self._ready = True
        if self.claims:
            self._settle()
        try:
            self._take()
        finally:
            self._taking = False
        for chore in self.chores:
            chore()

    def _take(self) -> None:
        working = len(self.threads) - self.waiting.count()
        free = self.max_parallel_slots - working
        self._metrics.set_slots(self.max_parallel_slots, working)
        rested = 0.0 if self.threads else time.monotonic() - self._last_ended
        if free < 1 or not self._may_take(rested):
            return
        if not (draining := self._drain.active):  # else a worker that has drained would now and then unsay it
            self._taking = True  # before the look that counts: until it is over the reporter does not say drained
            draining = self._drain.active
        self.claims.watch()
        if draining:
            source = self.waiting.take(free)
        else:
            source = self.app.orchestrator.get_invocations_to_run(free, self.runner_context)
        with closing(source):
            for invocation in source:
                if not self._start(invocation) or self._drain.active is not draining:
                    self._settle()  # also what pynenc has put aside for concurrency control
                    break
            else:
                self.claims.taken()
        self.execution.forget_reads()

    def _start(self, invocation: DistributedInvocation) -> bool:
        invocation_id = str(invocation.invocation_id)
        if not self._still_runs(invocation_id):
            since = self.execution.available_since(invocation_id)
            thread = threading.Thread(
                target=self.execution.run, args=(invocation, since), name=f"invocation-{invocation_id}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:
                log.error("invocation %s goes back: %s", invocation_id, error)
                return False
            self.threads[invocation_id] = ThreadInfo(thread, invocation)
            self._started += 1
        self.claims.started(invocation_id)
        self._on_change()
        return True

    def _still_runs(self, invocation_id: str) -> bool:
        """Whether a thread of ours has it, and waits for the broker. A retry is queued just before its thread ends."""
        info = self.threads.get(invocation_id)
        if info is None:
            return False
        info.thread.join(ENDING_SECONDS)
        return bool(info.thread.is_alive())

    def _settle(self, error: Exception | None = None) -> None:
        self._metrics.invocations.add("unloadable", self.claims.settle(error))

    def _thread_ended(self) -> None:
        self._last_ended = time.monotonic()
        self.wake.set()
        self._on_change()

    def _pause(self, seconds: float) -> None:
        """Wait, but see a signal soon: its handler sets no event, which it could meet locked."""
        end = time.monotonic() + seconds
        while not self.wake.wait(min(LOOP_PAUSE_SECONDS, max(0.0, end - time.monotonic()))):
            if time.monotonic() >= end or (self._drain.stopping and not self.threads):
                return
        self.wake.clear()

    # Trouble.

    def _after_failure(self, error: Exception) -> float:
        if is_outage(error):
            return self._outage.failed(error)
        if not self.claims:
            log.error("the runner's loop failed and goes on", exc_info=error)
            return LONGEST_LOOP_PAUSE_SECONDS
        try:  # a task that can't be loaded is failed, and the next one gets its turn
            self._settle(error)
        except Exception as failure:  # noqa: BLE001 - the claims stay and are settled in the next round
            return self._outage.failed(failure)
        return LOOP_PAUSE_SECONDS

    def _hand_back(self) -> None:
        log.warning("the drain timeout is over: handing back %d invocations that still run", len(self.threads))
        given = hand_back(self.app, self.runner_context, list(self.threads), self._settle)
        self._metrics.handed_on.add("drain_timeout", given)
        self._drain.stop("the drain timeout is over")  # it is on its way out: nothing takes that back
        self.handed_back = True
