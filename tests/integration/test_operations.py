"""docs/operations.md on Redis: its keys are there, and examples/by_hand.py works, as the user of docs/backends.md."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from pynenc_operator.backends import Backend, BackendKind
from pynenc_operator.broker import BackendSource
from pynenc_operator.model import QueueMark
from pynenc_operator.questions import HELD, CountInvocations, CountQueue, OldestEntry, ReadHeartbeats
from pynenc_worker import contract
from tests.cluster.paths import ROOT
from tests.integration.redis_server import RedisServer
from tests.integration.redis_users import APP_ID, PASSWORD, make_user
from tests.integration.worker.processes import Line, Producer

PAGE = (ROOT / "docs" / "operations.md").read_text()
APP = """
from pynenc import Pynenc

app = Pynenc()


@app.task
def nap() -> str:
    return "slept"
"""
# A producer, and a runner that has taken the first of two calls and does nothing more about it.
CALLS = """
import jobs
from pynenc.invocation.status import InvocationStatus as S
from pynenc.runner.runner_context import RunnerContext

first, second = jobs.nap(), jobs.nap()
runner = RunnerContext("ThreadRunner", "uid-of-a-pod")
taken = jobs.app.broker.retrieve_invocation()
for status in (S.PENDING, S.RUNNING):
    jobs.app.orchestrator.set_invocation_status(taken, status, runner)
print(first.invocation_id, second.invocation_id)
"""
ASKS = """
import sys
import jobs

for one in sys.argv[1:]:
    try:
        jobs.app.state_backend.get_invocation(one).get_final_result()
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[redis.Redis]:
    """A Redis with the user of docs/backends.md; whoever uses it, nothing that it needs is forbidden to it."""
    with RedisServer.running(tmp_path) as running:
        make_user(running)
        client = redis.Redis.from_url(running.url, decode_responses=True)
        yield client
        assert client.acl_log() == []


@pytest.fixture
def redis_url(server: redis.Redis) -> str:
    return f"redis://{APP_ID}:{PASSWORD}@127.0.0.1:{server.connection_pool.connection_kwargs['port']}/0"


async def ask_as_the_operator(url: str) -> None:
    """All that the operator asks of a Redis."""
    source, backend = BackendSource(allow_local=True), Backend(BackendKind.REDIS, url, APP_ID)
    assert (await source.ask(backend, CountQueue())).waiting == 1
    assert (await source.ask(backend, CountQueue((QueueMark("default", "gone", 1),)))).stayed == 0
    assert await source.ask(backend, CountInvocations(HELD)) == {**dict.fromkeys(HELD, 0), "running": 1}
    assert await source.ask(backend, OldestEntry())
    assert await source.ask(backend, ReadHeartbeats()) == ()


def test_the_pages_user_may_do_what_queues_and_priorities_take(
    tmp_path: Path, redis_url: str, next_python: Path
) -> None:
    producer = Producer(Line(python=next_python, backend="redis", url=redis_url, folder=tmp_path, app_id=APP_ID))
    for queue, priority in (("default", 0.0), ("gpu", 0.0), ("gpu", 1.0)):
        producer("route", ids=[f"{queue}-{priority}"], queue=queue, priority=priority)
    assert producer("queued_in", queues=["default", "gpu"]) == 3
    assert producer("take_all", queue="gpu") == ["gpu-1.0", "gpu-0.0"]
    producer.close()


def python(script: str, environment: dict[str, str], *arguments: str) -> list[str]:
    """What a script prints that comes in by standard input."""
    done = subprocess.run(
        [sys.executable, "-", *arguments],
        input=script,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_runs_is_told_and_what_is_cancelled_has_failed(
    tmp_path: Path, server: redis.Redis, redis_url: str
) -> None:
    (tmp_path / "jobs.py").write_text(APP)
    common = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "PYNENC__APP_ID": APP_ID}
    parts = ("Orchestrator", "Broker", "State_Backend", "Trigger", "Client_Data_Store")
    classes = {f"PYNENC__{part.upper()}_CLS": f"Redis{part.replace('_', '')}" for part in parts}
    producer = {**common, **classes, "PYNENC__REDIS_URL": redis_url, "PYNENC__LOGGING_LEVEL": "warning"}
    pod = {
        **common,
        contract.ENV_APP: "jobs",
        contract.ENV_BACKEND: "redis",
        contract.ENV_BACKEND_URL: redis_url,
        contract.ENV_DRAIN_TIMEOUT: "60",
        contract.ENV_POD_NAME: "reports-0",
        contract.ENV_POD_NAMESPACE: "reports",
        contract.ENV_POD_UID: "uid-of-a-pod",
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
    }
    script = (ROOT / "examples" / "by_hand.py").read_text()
    [ids] = python(CALLS, producer)
    first, second = ids.split()

    [line] = python(script, pod, "running")
    runner, status, _, one, task = line.split()
    assert (runner, status, one, task) == ("uid-of-a-pod", "running", first, "jobs.nap")

    looks = re.findall(r'^redis-cli -u "\$URL" (.+)$', PAGE, re.MULTILINE)
    found = [server.execute_command(*look.replace(":ID", f":{first}").split()) for look in looks]  # type: ignore[no-untyped-call]
    assert found[:3] == [1, [second], 1]
    assert '"runner_id": "uid-of-a-pod"' in found[3]
    asyncio.run(ask_as_the_operator(redis_url))

    queue = f"__pynenc__:{APP_ID}:broker:default_queue"
    queued = int(server.llen(queue))
    assert python(script, pod, "cancel", first, second) == [f"{first} failed", f"{second} failed"]
    assert server.llen(queue) == queued  # what was taken is not queued again, where a worker would take it meanwhile
    assert python(script, pod, "running") == []
    assert python(ASKS, producer, first, second) == ["RuntimeError cancelled by hand"] * 2
