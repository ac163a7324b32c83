"""The operator's way to the API server is slow, refuses a third of what is asked, or goes silent."""

import json
import time
from collections.abc import Iterator

import pytest

from pynenc_operator.watchtrace import SILENT_SECONDS
from pynenc_worker import contract
from tests.e2e import usercode
from tests.e2e.faults.api_proxy import ApiProxy
from tests.e2e.kubernetes import wait_until
from tests.e2e.pool import Pool
from tests.e2e.release import OPERATOR

WORKERS = 6
SLOW_SECONDS = 2.0
THIRD = 1 / 3


@pytest.fixture(scope="module")
def operators_way(operator: None) -> Iterator[ApiProxy]:  # noqa: ARG001
    """The way that the operator takes to the API server while this module's stories are told."""
    with ApiProxy.to_cluster() as proxy:
        OPERATOR.install(flags=(f"--set-json=extraEnv={json.dumps(proxy.environment)}",))
        try:
            yield proxy
        finally:
            OPERATOR.install()


@pytest.fixture
def proxy(operators_way: ApiProxy) -> Iterator[ApiProxy]:
    """That way, which is in order before and after a story."""
    operators_way.done.clear()
    yield operators_way
    operators_way.heal()


def up_and_down(pool: Pool, proxy: ApiProxy, name: str) -> None:
    """A pool goes from zero to WORKERS and back; its pods' reports go the same way as the operator's requests."""
    pool.apply(maxReplicas=WORKERS, env=proxy.environment)
    pool.enqueue(*(("long", 3.0, f"{name}-{n}") for n in range(4 * WORKERS)))
    pool.until_succeeded()
    pool.until_gone()
    assert 1 < pool.history.peak() <= WORKERS
    assert pool.history.interrupted() == []


def is_right_again(pool: Pool, proxy: ApiProxy) -> None:
    """The fault is over: what comes now is worked on at once, and the pool goes to zero."""
    proxy.heal()
    pool.fault_is_over()
    pool.enqueue(("short", 0.5, "after"))
    pool.until_recovered(lambda: pool.queue.executions()["after"], "the task begins")
    pool.until_succeeded()
    pool.until_gone()
    assert pool.condition("Ready") == ("True", "AtZero")
    assert pool.history.interrupted() == []


@pytest.mark.fault("api-server", f"every request takes {SLOW_SECONDS:.0f} s while six pods come and go")
@pytest.mark.slow
def test_every_request_is_slow_while_a_pool_comes_and_goes(pool: Pool, proxy: ApiProxy) -> None:
    proxy.delay(SLOW_SECONDS)
    up_and_down(pool, proxy, "slow")
    assert proxy.done["delayed"] > WORKERS
    assert "stopped leading" not in OPERATOR.log()
    is_right_again(pool, proxy)


@pytest.mark.fault("api-server", "a third of all requests answered 429 and 500 while six pods come and go")
@pytest.mark.slow
def test_a_third_of_the_requests_is_refused_while_a_pool_comes_and_goes(pool: Pool, proxy: ApiProxy) -> None:
    proxy.answer(429, 500, share=THIRD)
    up_and_down(pool, proxy, "refused")
    assert min(proxy.done["429"], proxy.done["500"]) > WORKERS
    is_right_again(pool, proxy)


@pytest.mark.fault("api-server", f"the operator's watches silent for {SILENT_SECONDS:.0f} s while pods come and go")
@pytest.mark.slow
def test_watches_that_go_silent_while_pods_come_and_go(pool: Pool, proxy: ApiProxy) -> None:
    usercode.hold(pool, "held", maxReplicas=WORKERS)
    names = [f"unseen-{n}" for n in range(2 * WORKERS)]
    pool.queue.let_end(*names)
    assert proxy.silence_watches() >= 2
    silent_from = time.monotonic()
    pool.enqueue(*(("short", 0, name) for name in names))
    wait_until(lambda: pool.queue.succeeded() == len(names), "what comes in the silence is done", SILENT_SECONDS)
    deleted = wait_until(lambda: idle(pool), "an idle pod")[0]
    pool.kubectl("delete", "pod", deleted, "--wait=false")
    time.sleep(max(0.0, silent_from + SILENT_SECONDS - time.monotonic()))
    pool.fault_is_over()
    pool.until_recovered(lambda: pool.states() == ["active"], "the idle ones have left, the busy one works on")
    pool.queue.let_end("held")
    pool.until_succeeded()
    pool.until_gone()
    assert pool.history.peak() <= WORKERS
    assert {line.split()[1] for line in pool.history.interrupted()} <= {deleted}


def idle(pool: Pool) -> list[str]:
    """The pods that say that they have nothing to do."""
    state = contract.WORKER_STATE
    return [name for name, pod in pool.pods().items() if pod["metadata"].get("annotations", {}).get(state) == "idle"]
