"""A pool whose queue is on RabbitMQ and all else on Redis.

RabbitMQ runs beside the cluster's pods, in the nodes' network, as the Redis of stories of faults does: an image of it
would cost each run of the tests more than it tells.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.node import NODE
from tests.e2e.conftest import MakePool
from tests.e2e.kubernetes import apply, wait_until
from tests.e2e.taskqueue import UNDISTURBED
from tests.integration.rabbitmq_server import PASSWORD, RabbitServer, plugin_settings

PREFIX = "shop.reports"
SECRET = "reports-rabbitmq"


@pytest.fixture
def rabbitmq(tmp_path: Path) -> Iterator[RabbitServer]:
    with RabbitServer.running(tmp_path, NODE.ip) as server:
        yield server


def test_from_zero_to_many_and_back_with_every_task_run_once(rabbitmq: RabbitServer, make_pool: MakePool) -> None:
    url = rabbitmq.url_of(vhost="shop")
    pool = make_pool(settings=plugin_settings(url, PREFIX))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": {"url": url}}
    apply(secret, pool.namespace)
    source = {"urlFrom": {"secretKeyRef": {"name": SECRET, "key": "url"}}}
    redis = {"url": "redis://redis:6379"}
    pool.apply(maxReplicas=5, backend={"rabbitmq": {**source, "queuePrefix": PREFIX, "redis": redis}})
    wait_until(lambda: pool.condition("BrokerReachable") == ("True", "Counted"), "an absent queue is counted")
    assert pool.condition("Ready") == ("True", "AtZero")

    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(10)), *(("long", 12.0, f"l{n}") for n in range(3)))
    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(10, 20)))
    pool.until_succeeded()
    pool.until_gone()

    assert all(history == UNDISTURBED for history in pool.queue.histories().values())
    assert pool.history.peak() == 5
    assert pool.history.interrupted() == []
    assert pool.queue.length() == 0  # nothing has gone by Redis' queue
    queues = rabbitmq.control("list_queues", "--vhost", "shop", "--no-table-headers", "name", "messages")
    assert queues.split() == [f"{PREFIX}_broker_messages", "0"]
    assert PASSWORD not in pool.kubectl("get", "pods,mtr,events", "-o", "yaml")
