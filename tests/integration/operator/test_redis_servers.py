"""Servers that speak Redis' protocol and can't hold pynenc's queues: real ones, told of with what mends it."""

import contextlib
from pathlib import Path

import pytest

from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.broker import BackendSource
from pynenc_operator.brokerclients import load_plugins
from pynenc_operator.questions import CountQueue
from tests.integration.redis_server import HALVES, WHOLE, Sentinel, redis_cluster

# Keys of these lie in slots of either half.
APPS = ("reports", "shop", "mail", "billing", "search", "images")


@pytest.fixture(autouse=True, scope="module")
def _plugins() -> None:
    load_plugins()


async def refused(url: str, app_id: str) -> BrokerError:
    """What is told of a queue at this URL."""
    with contextlib.closing(BackendSource(allow_local=True, deadline=30.0)) as source:
        with pytest.raises(BrokerError) as caught:
            await source.ask(Backend(BackendKind.REDIS, url, app_id), CountQueue())
        return caught.value


@pytest.mark.parametrize("slots", [HALVES, WHOLE, ()], ids=["two nodes", "one node", "no slots"])
async def test_a_node_of_a_cluster_is_told_as_one(tmp_path: Path, slots: tuple[str, ...]) -> None:
    with redis_cluster(tmp_path, slots) as node:
        told = [await refused(node.url, app) for app in APPS]
    assert {error.kind for error in told} == {BrokerErrorKind.UNSUPPORTED}
    assert {error.cause.partition(",")[0] for error in told} == {"its server is a node of a Redis Cluster"}
    assert all(error.of_url for error in told)  # so that a Secret that is mended is read at once


@pytest.mark.parametrize("database", [0, 1])
async def test_a_sentinel_is_told_as_one(tmp_path: Path, database: int) -> None:
    with Sentinel.running(tmp_path) as sentinel:
        told = await refused(sentinel.url.removesuffix("0") + str(database), "reports")
    assert told.kind is BrokerErrorKind.UNSUPPORTED
    assert "as a Sentinel does, which pynenc-redis can't ask, and a Redis before 6.2: name one server" in told.cause
    assert told.of_url
