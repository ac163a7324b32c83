"""examples/by_hand.py, as it is sent into a worker pod: what runs is told, and what is cancelled ends so for all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pynenc_worker import contract
from tests.cluster.paths import ROOT
from tests.integration.redis_server import RedisServer

APP_ID = "by-hand"
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
def redis_url(tmp_path: Path) -> object:
    with RedisServer.running(tmp_path) as server:
        yield server.url


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


def test_what_runs_is_told_and_what_is_cancelled_has_failed(tmp_path: Path, redis_url: str) -> None:
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

    assert python(script, pod, "cancel", first, second) == [f"{first} failed", f"{second} failed"]
    assert python(script, pod, "running") == []
    assert python(ASKS, producer, first, second) == ["RuntimeError cancelled by hand"] * 2
