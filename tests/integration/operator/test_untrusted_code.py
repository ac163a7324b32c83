"""Code of a runner's author, which the operator never loads: neither the app's nor what its queue holds."""

from pathlib import Path
from typing import Any

import jsonpickle
import pytest
from pynenc import Pynenc
from redis import Redis

from pynenc_operator.backends import Backend, BackendKind, BrokerError
from pynenc_operator.broker import BackendSource
from pynenc_operator.questions import HELD, CountInvocations, CountQueue, OldestEntry, ReadHeartbeats
from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.conftest import runner
from tests.integration.operator.rest import Api
from tests.integration.operator.stranger import reachable, running
from tests.integration.redis_server import RedisServer

MODULE = "trap_module"
# jsonpickle's way to say: call os.system when you read this.
BOMB = '{{"py/reduce": [{{"py/function": "posix.system"}}, {{"py/tuple": ["touch {file}"]}}]}}'


@pytest.fixture
def bombed(redis: RedisServer, tmp_path: Path) -> Path:
    """The file that appears when anybody unpickles what the app's keys in Redis hold."""
    file = tmp_path / "was-here"
    bomb = BOMB.format(file=file)
    app = Pynenc(config_values={"app_id": MODULE, "redis_url": redis.url, "orchestrator_cls": "RedisOrchestrator"})
    key = app.orchestrator.key
    with Redis.from_url(redis.url) as client:
        for entry in (bomb, "known"):
            client.rpush(f"__pynenc__:{MODULE}:broker:default_queue", entry)
            client.set(key.invocation_to_status(entry), bomb)
        client.zadd(key.runner_heartbeats(), {bomb: 1})
        client.hset(key.runner_heartbeat(bomb), mapping={"last_heartbeat": bomb, "context": bomb})
    jsonpickle.decode(bomb.replace("was-here", "bombs-work"), keys=True)  # noqa: S301 - it has to be a real one
    assert (tmp_path / "bombs-work").exists()
    return file


@pytest.mark.fault("security", "queue entries, records and heartbeats that run code in whoever unpickles them")
async def test_nothing_of_a_queue_is_unpickled(redis: RedisServer, bombed: Path) -> None:
    source, backend = BackendSource(allow_local=True), Backend(BackendKind.REDIS, redis.url, MODULE)
    assert (await source.ask(backend, CountQueue())).waiting == 2
    assert await source.ask(backend, CountInvocations(HELD)) == dict.fromkeys(HELD, 0)
    for question in (OldestEntry(), ReadHeartbeats()):
        with pytest.raises(BrokerError):
            await source.ask(backend, question)
    assert not list(bombed.parent.glob(bombed.name))


@pytest.mark.fault("security", "an app's module and a broker class of its own, put where the operator would find them")
def test_nothing_of_an_app_is_imported(
    crd_installed: HalfCluster, namespace: str, api: Api, redis: RedisServer, bombed: Path, tmp_path: Path
) -> None:
    trap = f"open({str(bombed)!r}, 'w').close()\nfrom pynenc_redis.broker.redis_broker import RedisBroker\n"
    (tmp_path / f"{MODULE}.py").write_text(trap + "class TrapBroker(RedisBroker): pass\n")
    (tmp_path / "pyproject.toml").write_text(f'[tool.pynenc]\nbroker_cls = "TrapBroker"\ntask_modules = ["{MODULE}"]\n')
    settings = {"PYNENC__BROKER_CLS": "TrapBroker", "PYNENC__REDIS_URL": "redis://127.0.0.1:1", "PYNENC__APP": MODULE}
    settings["PYNENC_OPERATOR_ALLOW_LOCAL_BACKENDS"] = "true"
    with running(crd_installed, namespace, tmp_path, **settings) as operator:
        spec: dict[str, Any] = {
            "app": MODULE,
            "appId": MODULE,
            "backend": {"redis": {"url": redis.url}},
            "minReplicas": 1,
        }
        assert api.ask("POST", api.runners, runner(**spec))[0] == 201
        operator.until("it is counted", lambda: reachable(api, "reports") == "Counted")
        operator.until("pods are made", lambda: operator.of_runner("pods_created_total") == 2)
        assert "Traceback" not in operator.log()
    assert not bombed.exists()
