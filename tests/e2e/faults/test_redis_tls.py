"""Redis with TLS, under an authority that neither the operator nor the workers know at first."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.node import NODE
from tests.e2e.conftest import MakePool
from tests.e2e.kubernetes import apply, kubectl, wait_until
from tests.e2e.release import OPERATOR
from tests.integration.authority import certify
from tests.integration.redis_server import RedisServer, tls_options

TLS_PORT = 16380  # of the cluster's own network
MOUNTED = "/etc/redis-ca"
TRUST = {"name": "SSL_CERT_FILE", "value": f"{MOUNTED}/ca.crt"}
MOUNT = {"name": "redis-ca", "mountPath": MOUNTED}
VOLUME = {"name": "redis-ca", "configMap": {"name": "redis-ca"}}


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A folder with an authority, and a certificate of it for the node's address."""
    certify(tmp_path, NODE.ip)
    return tmp_path


@pytest.fixture
def redis(authority: Path) -> Iterator[RedisServer]:
    """A Redis that also listens with TLS."""
    with RedisServer.running(authority, NODE.ip, **tls_options(authority, TLS_PORT)) as server:
        yield server


@pytest.fixture
def _as_before() -> Iterator[None]:
    yield
    OPERATOR.install()
    kubectl("delete", "configmap", "redis-ca", "-n", OPERATOR.namespace, "--ignore-not-found")


@pytest.mark.slow
@pytest.mark.fault("redis", "TLS under an authority that the operator does not trust, then does")
@pytest.mark.usefixtures("operator", "_as_before")
def test_an_authority_that_the_operator_does_not_know_is_told_and_can_be_given(
    redis: RedisServer, authority: Path, make_pool: MakePool
) -> None:
    pool = make_pool(redis.url)
    certificate = {"ca.crt": (authority / "ca.crt").read_text()}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "redis-ca"}, "data": certificate}
    apply(config_map, pool.namespace)
    worker = {"name": "worker", "volumeMounts": [MOUNT], "env": [TRUST]}
    pool.apply(
        backend={"redis": {"url": f"rediss://{NODE.ip}:{TLS_PORT}/0"}},
        template={"spec": {"containers": [worker], "volumes": [VOLUME]}},
    )
    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(6)))
    wait_until(lambda: "does not trust its certificate" in pool.said("BrokerReachable"), "what is wrong is told")
    assert pool.condition("BrokerReachable") == ("False", "Unreachable")
    assert not pool.history.uids()
    apply(config_map, OPERATOR.namespace)
    values = {"extraEnv": [TRUST], "extraVolumes": [VOLUME], "extraVolumeMounts": [MOUNT]}
    OPERATOR.install(flags=tuple(f"--set-json={name}={json.dumps(value)}" for name, value in values.items()))
    pool.fault_is_over()
    pool.until_recovered(pool.queue.executions, "tasks begin")
    pool.until_succeeded()
