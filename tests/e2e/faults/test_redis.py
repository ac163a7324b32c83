"""Redis goes, comes back, loses its data, swallows packets, changes its password: no task is lost or run twice."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from tests.e2e import usercode
from tests.e2e.conftest import MakePool
from tests.e2e.kubernetes import wait_until
from tests.e2e.pool import RECOVERS_WITHIN, Pool
from tests.e2e.release import OPERATOR
from tests.integration.redis_server import RedisServer

WORKERS = 10


@pytest.fixture
def pool(make_pool: MakePool, redis: RedisServer) -> Pool:
    """A pool on that Redis."""
    return make_pool(redis.url)


@contextmanager
def swallowed(port: int) -> Iterator[None]:
    """Packets to a port of this network vanish, and so do the answers."""
    rules = "add table inet faults; add chain inet faults input { type filter hook input priority 0; }; "
    rules += f"add rule inet faults input tcp dport {port} drop"
    subprocess.run(["nft", rules], check=True, timeout=10)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete table inet faults"], check=True, timeout=10)


def busy(pool: Pool, *, waiting: int = 10) -> None:
    """Ten workers that are busy until they are told, and more in the queue."""
    usercode.write(pool, usercode.WAITS)
    pool.apply(maxReplicas=WORKERS, template=usercode.template())
    pool.enqueue(*(("long", 0, f"held-{n}") for n in range(WORKERS)))
    pool.until_begun(*(f"held-{n}" for n in range(WORKERS)))
    pool.enqueue(*(("short", 0, f"waiting-{n}") for n in range(waiting)))


def let_all_end(pool: Pool, waiting: int = 10) -> None:
    pool.queue.let_end(*(f"held-{n}" for n in range(WORKERS)), *(f"waiting-{n}" for n in range(waiting)))


def is_counted(pool: Pool) -> bool:
    return pool.condition("BrokerReachable") == ("True", "Counted")


def outlived(pool: Pool, before: set[str]) -> None:
    """The fault is over: the same ten workers end what they and the queue had, each task once."""
    pool.fault_is_over()
    pool.until_recovered(lambda: is_counted(pool) and len(pool.pods()) == WORKERS, "it is counted, ten pods are there")
    let_all_end(pool)
    pool.until_succeeded()
    assert pool.history.uids() == before
    assert pool.history.interrupted() == []


def stopped_for(seconds: int) -> pytest.MarkDecorator:
    return pytest.mark.fault("redis", f"stopped for {seconds} s under ten busy workers")


@pytest.mark.parametrize(
    "seconds", [pytest.param(30, marks=stopped_for(30)), pytest.param(60, marks=[stopped_for(60), pytest.mark.slow])]
)
def test_stopped_under_ten_busy_workers(pool: Pool, redis: RedisServer, seconds: int) -> None:
    busy(pool)
    before = pool.history.uids()
    redis.stop()
    wait_until(lambda: pool.condition("BrokerReachable")[0] == "False", "the outage is told")
    time.sleep(seconds)
    assert pool.history.uids() == before
    assert len(pool.pods()) == WORKERS
    redis.start()
    outlived(pool, before)


@pytest.mark.fault("redis", "restarted without its data under two idle workers, then new tasks")
@pytest.mark.slow
def test_restarted_empty_under_workers_that_live_on(pool: Pool, redis: RedisServer) -> None:
    pool.apply(minReplicas=2, maxReplicas=4)
    pool.until_states("idle", "idle")
    before = pool.history.uids()
    redis.stop()
    redis.forget()
    redis.start()
    pool.fault_is_over()
    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(6)))
    pool.until_recovered(lambda: is_counted(pool) and pool.queue.executions(), "it is counted, tasks begin")
    pool.until_succeeded()
    assert before <= {pod["metadata"]["uid"] for pod in pool.pods().values()}


@pytest.mark.fault("redis", "packets vanished for 60 s under ten busy workers")
@pytest.mark.slow
def test_black_holed_under_ten_busy_workers(pool: Pool, redis: RedisServer) -> None:
    busy(pool)
    before = pool.history.uids()
    with swallowed(redis.port):
        wait_until(lambda: pool.condition("BrokerReachable")[0] == "False", "the outage is told")
        time.sleep(60)
        assert len(pool.pods()) == WORKERS
    outlived(pool, before)


@pytest.mark.slow
@pytest.mark.fault("redis", "stopped twenty times for 2 s under two idle workers")
def test_twenty_outages_leave_no_connection_behind(pool: Pool, redis: RedisServer) -> None:
    pool.apply(minReplicas=2, maxReplicas=2)
    pool.until_states("idle", "idle")
    wait_until(lambda: connections(redis) > 0, "they are connected")
    time.sleep(5)
    before = connections(redis)
    for _ in range(20):
        redis.stop()
        time.sleep(2)
        redis.start()
        wait_until(lambda: is_counted(pool), "it is counted", RECOVERS_WITHIN)
    pool.fault_is_over()
    pool.enqueue(("short", 0.5, "after"))
    pool.until_recovered(pool.queue.executions, "the task begins")
    pool.until_succeeded()
    wait_until(lambda: connections(redis) <= before + 1, f"as many connections as before: {before}", 60)


def connections(redis: RedisServer) -> int:
    """How many clients are connected; this question is one of them."""
    found = redis.command("INFO", "clients", line="connected_clients")
    return int(found.partition(":")[2])


@pytest.mark.fault("redis", "password changed in the Secret under ten busy workers, then all connections cut")
@pytest.mark.slow
def test_a_password_that_is_rotated_under_ten_busy_workers(redis: RedisServer, make_pool: MakePool) -> None:
    stays = redis.url.replace("redis://", "redis://records:stays@")  # of the tests' and the tasks' own connections
    with Redis.from_url(redis.url) as administrator:
        administrator.acl_setuser("records", enabled=True, passwords=["+stays"], categories=["+@all"], keys=["*"])
        administrator.config_set("requirepass", "first")
    pool = make_pool(stays)
    secret(pool, redis.url.replace("redis://", "redis://:first@"))
    source = {"secretKeyRef": {"name": "redis-url", "key": "url"}}
    pool.apply(maxReplicas=WORKERS, backend={"redis": {"urlFrom": source}})
    pool.enqueue(*(("long", 30.0, f"long-{n}") for n in range(WORKERS)))
    pool.until_begun(*(f"long-{n}" for n in range(WORKERS)))
    pool.enqueue(*(("short", 0.5, f"short-{n}") for n in range(WORKERS)))
    before = set(OPERATOR.pods())
    with Redis.from_url(stays) as administrator:
        administrator.config_set("requirepass", "second")
        secret(pool, redis.url.replace("redis://", "redis://:second@"))
        administrator.client_kill_filter(_type="normal", skipme=True)
    pool.fault_is_over()
    pool.until_recovered(lambda: is_counted(pool) and len(pool.pods()) == WORKERS, "it is counted, ten pods are there")
    pool.until_succeeded()
    assert set(OPERATOR.pods()) == before
    assert pool.history.interrupted() == []
    assert "second" not in OPERATOR.log()


@pytest.mark.fault("redis", "a wrong password from the start, then a host that does not resolve, then the right URL")
@pytest.mark.slow
def test_a_wrong_password_and_a_name_that_does_not_resolve_are_told_and_mended(redis: RedisServer, pool: Pool) -> None:
    with Redis.from_url(redis.url) as administrator:
        administrator.acl_setuser("worker", enabled=True, passwords=["+right"], categories=["+@all"], keys=["*"])
    source = {"secretKeyRef": {"name": "redis-url", "key": "url"}}
    secret(pool, redis.url.replace("redis://", "redis://worker:wr0ng-pa55@"))
    pool.apply(backend={"redis": {"urlFrom": source}})
    pool.enqueue(("short", 0.5, "task"))
    wait_until(lambda: pool.condition("BrokerReachable") == ("False", "AuthenticationFailed"), "the refusal is told")
    assert "wr0ng-pa55" not in json.dumps(pool.status())
    secret(pool, f"redis://worker:right@no-such-host.example:{redis.port}/0")
    pool.change(pollIntervalSeconds=2)
    wait_until(lambda: "does not resolve" in pool.said("BrokerReachable"), "what is wrong with the host is told")
    secret(pool, redis.url.replace("redis://", "redis://worker:right@"))
    pool.fault_is_over()
    pool.until_recovered(pool.queue.executions, "the task begins")
    pool.until_succeeded()
    assert "wr0ng-pa55" not in OPERATOR.log()


def secret(pool: Pool, url: str) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "redis-url"}, "stringData": {"url": url}}
    pool.kubectl("apply", "-f", "-", input=json.dumps(body))
