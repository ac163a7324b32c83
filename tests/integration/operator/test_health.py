"""/healthz of a running operator: it fails when a part of it stands still, though its process goes on."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.operator_process import Operator
from tests.integration.operator.pool_harness import manifest

PROBE_SECONDS = 5.0  # that the chart's liveness probe waits for an answer

# The operator, with shorter patience, and with a signal for each way to stand still.
PROGRAM = """
import asyncio, signal, time
from pynenc_operator import __main__, app, leader, reconciler

app.ELECTION_STALLED_SECONDS = app.STALLED_SECONDS = 3.0
app.WORKERS = 1
hanging = set()
run, attempt, reconcile = app.run, leader.Leader._attempt, reconciler.Reconciler.reconcile

async def hang_if(name):
    while name in hanging:
        await asyncio.sleep(0.1)

async def running(config):
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, time.sleep, 3600)
    loop.add_signal_handler(signal.SIGUSR2, hanging.add, "election")
    loop.add_signal_handler(signal.SIGHUP, hanging.add, "look")
    await run(config)

async def attempting(self):
    await hang_if("election")
    return await attempt(self)

async def reconciling(self, key):
    await hang_if("look")
    return await reconcile(self, key)

app.run, leader.Leader._attempt, reconciler.Reconciler.reconcile = running, attempting, reconciling
__main__.main()
"""


@pytest.fixture
def operator(crd_installed: HalfCluster, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    operator = Operator(crd_installed, namespace, tmp_path, ("-c", PROGRAM))
    try:
        operator.until("leading", lambda: "pynenc_operator_leader 1.0" in operator.scrape())
        assert operator.ask("/healthz") == (200, "ok\n")
        yield operator
    finally:
        operator.end()


def test_it_does_not_answer_when_the_event_loop_is_blocked(operator: Operator) -> None:
    operator.process.send_signal(signal.SIGUSR1)
    operator.until("silent", lambda: operator.ask("/healthz", PROBE_SECONDS) == (0, ""))
    assert operator.process.poll() is None


def test_it_fails_when_the_leader_election_stands_still(operator: Operator) -> None:
    operator.process.send_signal(signal.SIGUSR2)
    operator.until("unhealthy", lambda: operator.ask("/healthz")[0] == 503)
    assert "the leader election has not moved for" in operator.ask("/healthz")[1]
    assert operator.ask("/metrics")[0] == 200


def test_it_fails_when_runners_are_not_looked_at(operator: Operator, crd_installed: HalfCluster) -> None:
    operator.process.send_signal(signal.SIGHUP)
    for name in ("one", "two"):  # the first of them occupies the only worker
        crd_installed.kubectl("apply", "-n", operator.namespace, "-f", "-", input=manifest(name=name))
    operator.until("unhealthy", lambda: operator.ask("/healthz")[0] == 503)
    assert "a runner has been due for" in operator.ask("/healthz")[1]
