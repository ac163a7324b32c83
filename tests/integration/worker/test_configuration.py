"""What a worker says when it can't work as it was set up."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pynenc_operator.resource import parse_trouble
from pynenc_worker import contract
from tests.integration.redis_server import HALVES, WHOLE, RedisServer, Sentinel, redis_cluster
from tests.integration.worker.conftest import StartWorker
from tests.integration.worker.processes import Line, Producer

type MakeServer = Callable[[Path], AbstractContextManager[RedisServer]]


@pytest.fixture
def last_words(tmp_path: Path) -> Path:
    """The file whose text Kubernetes shows as the container's message."""
    file = tmp_path / "termination-log"
    file.touch()  # as the kubelet makes it
    return file


def progressing(last_words: Path) -> str:
    """What the runner's condition Progressing says of a pod that ended so."""
    terminated = {"exitCode": 2, "reason": "Error", "message": last_words.read_text()}
    trouble = parse_trouble({}, {"terminated": terminated})
    assert trouble
    return f"{trouble.reason}: {trouble.message}"


def test_a_setting_that_contradicts_the_resource_ends_it_with_a_message(start_worker: StartWorker) -> None:
    worker = start_worker(PYNENC__CONFIGBROKERREDIS__REDIS_URL="redis://:s3cret@elsewhere")
    assert worker.exit_code() == 2
    assert "PYNENC__CONFIGBROKERREDIS__REDIS_URL: set by the resource" in worker.log()
    assert "s3cret" not in worker.log()
    assert worker.pod.said() == []


def test_an_app_that_is_not_there_ends_it_with_a_message(start_worker: StartWorker) -> None:
    worker = start_worker(PYNENC_WORKER_APP="no_such_module")
    assert worker.exit_code() == 1
    assert "the app no_such_module can't be loaded" in worker.log()


def test_an_app_of_another_id_is_not_run(start_worker: StartWorker, line: Line) -> None:
    (line.folder / "pinned.py").write_text(
        "from pynenc import Pynenc\nclass Pinned(Pynenc):\n    app_id = 'other'\napp = Pinned()\n"
    )
    worker = start_worker(PYNENC_WORKER_APP="pinned")
    assert worker.exit_code() == 2
    assert f"the app calls itself 'other', the resource's spec.appId is '{line.app_id}'" in worker.log()


@pytest.mark.parametrize("line", ["pynenc-0.3-redis", "pynenc-next-sqlite"], indirect=True)
def test_an_app_whose_code_chooses_rustvello_is_not_run(
    start_worker: StartWorker, line: Line, last_words: Path
) -> None:
    """As `PynencBuilder().rustvello_redis()` does. Producers run the same code, and no resource's environment."""
    (line.folder / "rusty.py").write_text(
        "from jobs import app\napp.config_values = {'broker_cls': 'RustRedisBroker', 'redis_url': 'redis://s3cret'}\n"
    )
    worker = start_worker(PYNENC_WORKER_APP="rusty", PYNENC_WORKER_TERMINATION_LOG=str(last_words))
    assert worker.exit_code() == 2
    assert progressing(last_words).startswith("Error: exit code 2 the app's code chooses RustRedisBroker of pynenc-")
    assert "take it out of the code" in progressing(last_words)
    assert "s3cret" not in worker.log()


@pytest.mark.parametrize("line", ["pynenc-next-redis"], indirect=True)
def test_a_plugin_that_does_not_follow_its_pynenc_is_told_kubernetes(
    start_worker: StartWorker, line: Line, last_words: Path
) -> None:
    settings = {
        contract.ENV_BACKEND: "rabbitmq",
        contract.ENV_BACKEND_URL: "amqp://127.0.0.1/shop",
        contract.ENV_STORE_URL: line.url,
    }
    worker = start_worker(**settings, PYNENC_WORKER_TERMINATION_LOG=str(last_words))
    assert worker.exit_code() == 2
    told = "Error: exit code 2 pynenc-rabbitmq 0.1.6 does not work with pynenc 0.4.0: its RabbitMqBroker lacks "
    assert progressing(last_words).startswith(told)
    assert "0.3.1 alone with pynenc-rabbitmq 0.1.6" in progressing(last_words)


@pytest.mark.parametrize("line", ["pynenc-0.3-redis", "pynenc-0.3-sqlite"], indirect=True)
def test_a_pynenc_with_a_single_queue_refuses_to_serve_another_and_tells_kubernetes_so(
    start_worker: StartWorker, producer: Producer, line: Line, last_words: Path
) -> None:
    producer.call("nap", name="a", seconds=0.1)
    queues = dict.fromkeys(contract.ENV_QUEUES, "gpu")
    worker = start_worker(**queues, PYNENC_WORKER_TERMINATION_LOG=str(last_words))
    assert worker.exit_code() == 2
    assert last_words.read_text().startswith("QueuesUnsupported: spec.queues needs pynenc 0.4, and this image has 0.3.")
    assert last_words.read_text() in worker.log()
    assert worker.pod.said() == line.executions() == []


@pytest.mark.parametrize("line", ["pynenc-0.3-sqlite", "pynenc-next-sqlite"], indirect=True)
def test_a_sqlite_file_of_the_other_line_is_refused_with_a_message(
    start_worker: StartWorker, line: Line, next_python: Path, last_words: Path
) -> None:
    made_by, here = ("0.3", "0.4") if line.python == next_python else ("0.4", "0.3")
    other = Path(sys.executable) if line.python == next_python else next_python
    producer = Producer(replace(line, python=other))
    producer.call("nap", name="a", seconds=0.1)
    producer.close()
    before = hashlib.sha256(Path(line.url).read_bytes()).hexdigest()
    worker = start_worker(PYNENC_WORKER_TERMINATION_LOG=str(last_words))
    assert worker.exit_code() == 2
    told = f"Error: exit code 2 the SQLite file was made by pynenc {made_by}, and this image has {here}"
    assert progressing(last_words).startswith(told)
    assert "name another file in spec.backend.sqlite.path and in the producers" in progressing(last_words)
    assert last_words.read_text() in worker.log()
    assert "Traceback" not in worker.log()
    assert hashlib.sha256(Path(line.url).read_bytes()).hexdigest() == before


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (Sentinel.running, "as a Sentinel does, which pynenc-redis can't ask"),
        (partial(redis_cluster, slots=HALVES), "a node of a Redis Cluster, which pynenc-redis can't use"),
        (partial(redis_cluster, slots=WHOLE), "a node of a Redis Cluster, which pynenc-redis can't use"),
    ],
    ids=["Sentinel", "Cluster", "Cluster of one node"],
)
@pytest.mark.parametrize("line", ["pynenc-0.3-redis"], indirect=True)
def test_a_server_that_can_not_hold_an_app_is_told_kubernetes(
    start_worker: StartWorker, made: MakeServer, told: str, tmp_path: Path, last_words: Path
) -> None:
    with made(tmp_path) as server:
        worker = start_worker(PYNENC_WORKER_BACKEND_URL=server.url, PYNENC_WORKER_TERMINATION_LOG=str(last_words))
        assert worker.exit_code() == 2
    assert progressing(last_words).startswith("Error: exit code 2 its server ")
    assert told in progressing(last_words)
    assert last_words.read_text() in worker.log()
    assert "Traceback" not in worker.log()


@pytest.mark.parametrize(("arguments", "code"), [(("--help",), 0), (("start",), 2)])
def test_usage(next_python: Path, arguments: tuple[str, ...], code: int) -> None:
    environment = {"PYTHONPATH": os.pathsep.join(("worker-image",)), "PYTHONDONTWRITEBYTECODE": "1"}
    answer = subprocess.run(
        [str(next_python), "-m", "pynenc_worker", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode == code
    assert "usage: pynenc-worker" in answer.stdout + answer.stderr
