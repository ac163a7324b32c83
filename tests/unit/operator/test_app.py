"""What a replica tells of itself."""

import gc
import weakref

from prometheus_client import CollectorRegistry

from pynenc_operator.app import App
from pynenc_operator.clock import Clock
from pynenc_operator.config import OperatorConfig
from pynenc_operator.metrics import OperatorMetrics
from pynenc_operator.model import Key
from pynenc_operator.workqueue import WorkQueue

SETTINGS = {"PYNENC_OPERATOR_LEASE_NAMESPACE": "pynenc-system", "PYNENC_OPERATOR_WORKER_CLUSTER_ROLE": "worker"}


async def nothing(key: Key) -> None:
    """Look at a runner."""


def test_who_leads_no_more_has_no_runners_that_wait() -> None:
    metrics = OperatorMetrics(CollectorRegistry())
    app = App(OperatorConfig.from_environment(SETTINGS), None, metrics, Clock())  # type: ignore[arg-type]

    def waiting() -> float | None:
        return metrics.registry.get_sample_value("pynenc_operator_workqueue_depth")

    assert waiting() == 0
    app._queue = WorkQueue(nothing, workers=1, expected=OSError)
    app._queue.add(Key("shop", "reports"))
    assert waiting() == 1
    led = weakref.ref(app._queue)
    app._queue = None
    gc.collect()
    assert waiting() == 0
    assert led() is None
