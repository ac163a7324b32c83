"""pynenc's heartbeat, from a thread of its own: a long round of the loop must not make a runner look dead."""

import inspect
import threading
from typing import Any, Final

from pynenc import Pynenc
from pynenc.runner.base_runner import BaseRunner

from pynenc_worker.drain import Drain
from pynenc_worker.index import InvocationIndex
from pynenc_worker.logs import log
from pynenc_worker.metrics import WorkerMetrics

INTERVAL_SECONDS: Final = 10.0


class Heartbeat(threading.Thread):
    """Says every 10 s that the runner lives, and whether it may be given the atomic service."""

    def __init__(
        self, app: Pynenc, index: InvocationIndex, runner: BaseRunner, drain: Drain, metrics: WorkerMetrics
    ) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._app = app
        self._index = index
        self._runner_id = runner.runner_id
        self._drain = drain
        self._metrics = metrics
        self._end = threading.Event()
        self._extra: dict[str, Any] = {}
        if "consumed_queues" in inspect.signature(app.orchestrator.register_runner_heartbeats).parameters:
            self._extra["consumed_queues"] = runner.conf.queues  # pynenc 0.4

    def run(self) -> None:
        """Beat until `finish`."""
        while not self._end.is_set():
            try:
                self._beat()
            except Exception as error:  # noqa: BLE001 - the broker is away; the loop says so
                self._metrics.broker_failed()
                log.debug("no heartbeat: %s", type(error).__name__)
            self._end.wait(INTERVAL_SECONDS)

    def finish(self, timeout: float) -> None:
        """Stop, and take the runner off pynenc's list: it ended in order and holds nothing."""
        self._end.set()
        self.join(timeout)
        if self.is_alive():
            return
        try:
            self._index.forget_runner(self._runner_id)
        except Exception as error:  # noqa: BLE001 - it will be seen to be silent
            log.warning("the heartbeat stays behind: %s", type(error).__name__)

    def _beat(self) -> None:
        self._app.orchestrator.register_runner_heartbeats(
            [self._runner_id], can_run_atomic_service=not self._drain.active, **self._extra
        )
