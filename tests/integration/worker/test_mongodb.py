"""What only a worker on MongoDB can do wrong, on FerretDB; all other stories are told on it, too."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pymongo
import pytest

from pynenc_worker import contract
from tests.integration.mongo_server import MongoServer
from tests.integration.worker.conftest import MONGODB, StartWorker
from tests.integration.worker.processes import Line, Producer, eventually

pytestmark = pytest.mark.parametrize("line", [MONGODB], indirect=True)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[MongoServer]:
    """One that wants to know who asks."""
    with MongoServer.running(tmp_path, user="root", password="toor") as server:
        yield server


def be_asked_by(server: MongoServer, command: str, password: str) -> None:
    """Make or change the workers' user."""
    client: pymongo.MongoClient[dict[str, object]]
    with pymongo.MongoClient(server.url) as client:
        change: dict[str, object] = {command: "worker", "pwd": password}
        client.admin.command(change | ({"roles": []} if command == "createUser" else {}))


@pytest.mark.slow
def test_a_rotated_password_restarts_nothing_and_stands_in_no_environment(
    start_worker: StartWorker, line: Line, guarded: MongoServer
) -> None:
    be_asked_by(guarded, "createUser", "0ld")
    secret = line.folder / "backend" / "url"
    secret.parent.mkdir()

    def url(password: str) -> str:
        return f"mongodb://worker:{password}@{guarded.address}/?authSource=admin"

    root = Producer(replace(line, url=guarded.url))
    secret.write_text(url("0ld"))
    (line.folder / "tell.py").write_text(
        "import os\nfrom jobs import *\nfrom pathlib import Path\n"
        "Path(os.environ['JOBS_FOLDER'], 'environment').write_text(repr(dict(os.environ)))\n"
    )
    worker = start_worker(PYNENC_WORKER_BACKEND_URL="", PYNENC_WORKER_APP="tell")
    first = root.call("nap", name="first", seconds=0.1)
    eventually(lambda: root.succeeded(first), "it works with the first password")
    held = root.call("hold", name="held")
    worker.says("active")
    be_asked_by(guarded, "updateUser", "n3w")
    guarded.stop()  # as a failover: no connection outlives it
    guarded.start()
    line.open_gate("held")
    eventually(lambda: "the broker can't be reached (OperationFailure)" in worker.log(), "the old password is refused")
    secret.write_text(url("n3w"))
    eventually(lambda: root.succeeded(held), "what ran meanwhile is written with the second password")
    second = root.call("nap", name="second", seconds=0.1)
    eventually(lambda: root.succeeded(second), "it works with the second password")
    root.close()
    assert line.executions() == ["first", "held", "second"]
    told = worker.log() + (line.folder / "environment").read_text()
    assert guarded.address in told
    assert "0ld" not in told
    assert "n3w" not in told


@pytest.mark.parametrize(("path", "mongo_db"), [("jobs", "pynenc"), ("", "jobs")])
def test_an_app_that_keeps_its_data_elsewhere_is_not_run(
    start_worker: StartWorker, line: Line, path: str, mongo_db: str
) -> None:
    (line.folder / "elsewhere.py").write_text(
        f"from pynenc import Pynenc\napp = Pynenc(config_values={{'mongo_db': {mongo_db!r}}})\n"
    )
    worker = start_worker(PYNENC_WORKER_APP="elsewhere", PYNENC_WORKER_BACKEND_URL=f"{line.url}{path}")
    assert worker.exit_code() == 2
    assert f"the app's mongo_db is {mongo_db!r}" in worker.log()
    assert f"/{mongo_db}" in worker.log()


def test_the_urls_database_is_the_one_that_is_used_where_the_code_names_none(
    start_worker: StartWorker, line: Line
) -> None:
    elsewhere = Producer(replace(line, settings={"PYNENC__MONGO_DB": "jobs"}))
    task = elsewhere.call("nap", name="one", seconds=0.1)
    start_worker(PYNENC_WORKER_BACKEND_URL=f"{line.url}jobs")
    eventually(lambda: elsewhere.succeeded(task), "it works there")
    elsewhere.close()


@pytest.mark.parametrize("scheme", ["mongodb", "mongodb+srv"])
@pytest.mark.parametrize("option", ["tls=s3cret", "s3cret=1", "authMechanism=s3cret"])
def test_a_url_that_its_client_refuses_is_told_without_a_word_of_it(
    start_worker: StartWorker, scheme: str, option: str
) -> None:
    worker = start_worker(PYNENC_WORKER_BACKEND_URL=f"{scheme}://user:s3cret@mongo.invalid/?{option}")
    assert worker.exit_code() == 2
    assert "%XX" in worker.log()
    assert "s3cret" not in worker.log()


@pytest.mark.slow
def test_what_a_dead_worker_had_popped_and_not_claimed_is_found(
    start_worker: StartWorker, producer: Producer, line: Line
) -> None:
    lost = producer.call("nap", name="lost", seconds=0.1)
    assert producer("pop") == lost
    rescuer = start_worker()
    rescuer.says("idle")
    rescuer.pod.request(contract.RECOVER_RUNNERS, "dead-runner")
    eventually(lambda: producer.succeeded(lost), "it is in a queue again and runs", within=120)
    assert line.executions() == ["lost"]
    assert f"invocation {lost} was in no queue and is queued again" in rescuer.log()


def test_a_worker_reaches_one_with_tls_whose_authority_it_trusts(
    start_worker: StartWorker, line: Line, tmp_path: Path
) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    with MongoServer.running(folder, user="root", password="toor", tls=True) as server:
        root = Producer(replace(line, url=server.url))
        task = root.call("nap", name="one", seconds=0.1)
        authority = {"SSL_CERT_FILE": str(server.authority)}
        worker = start_worker(PYNENC_WORKER_BACKEND_URL=server.tls_url(), **authority)
        eventually(lambda: root.succeeded(task), "it works")
        root.close()
        assert "toor" not in worker.log()
