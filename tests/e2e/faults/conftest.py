"""What several stories of faults stand on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.node import NODE
from tests.integration.redis_server import RedisServer


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis beside the cluster's pods, in the nodes' network, that outlives its stops with what it holds."""
    with RedisServer.running(tmp_path, NODE.ip) as server:
        yield server
