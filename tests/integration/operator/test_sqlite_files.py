"""SQLite files of both lines of pynenc, made by themselves: counted alike, and never changed by the operator."""

import hashlib
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pynenc_operator import sqliteapp
from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.broker import BackendSource, Question
from pynenc_operator.questions import STATUSES, CountInvocations, CountQueue, ReadHeartbeats
from tests.integration.conftest import interpreter_of
from tests.integration.worker.processes import Line, Producer

both_lines = pytest.mark.parametrize("line", ["0.3", "0.4"])


@contextmanager
def producing(line: str, folder: Path) -> Iterator[Producer]:
    file = str(folder / "pynenc.db")
    python = Path(sys.executable) if line == "0.3" else interpreter_of("next")
    producer = Producer(Line(python=python, backend="sqlite", url=file, folder=folder, app_id="shop"))
    yield producer
    producer.close()


async def ask[T](folder: Path, question: Question[T], *queues: str, app_id: str = "shop") -> T:
    with closing(BackendSource(deadline=30.0)) as source:
        return await source.ask(Backend(BackendKind.SQLITE, str(folder / "pynenc.db"), app_id, queues), question)


async def count(folder: Path, *queues: str, app_id: str = "shop") -> int:
    return (await ask(folder, CountQueue(), *queues, app_id=app_id)).waiting


@both_lines
async def test_a_file_is_counted_as_its_own_pynenc_does(line: str, tmp_path: Path) -> None:
    with producing(line, tmp_path) as producer:
        for number in range(3):
            producer.call("nap", name=str(number), seconds=0.1)
            assert await count(tmp_path) == producer("queued") == number + 1
        producer("pop")
        assert await count(tmp_path) == producer("queued") == 2
    assert await count(tmp_path) == 2  # also while nobody else has it open


@both_lines
async def test_an_app_that_has_enqueued_nothing_is_counted_without_a_change(line: str, tmp_path: Path) -> None:
    with producing(line, tmp_path) as producer:
        producer.call("nap", name="a", seconds=0.1)
    before = hashlib.sha256((tmp_path / "pynenc.db").read_bytes()).hexdigest()
    assert await count(tmp_path, app_id="another") == 0
    none = dict.fromkeys(STATUSES, 0)
    assert await ask(tmp_path, CountInvocations(STATUSES), app_id="another") == none
    assert await ask(tmp_path, CountInvocations(STATUSES)) == none | {"registered": 1}
    assert await ask(tmp_path, ReadHeartbeats()) == await ask(tmp_path, ReadHeartbeats(), app_id="another") == ()
    assert hashlib.sha256((tmp_path / "pynenc.db").read_bytes()).hexdigest() == before


async def test_named_queues_in_a_file_of_the_line_before_are_refused_with_the_mend(tmp_path: Path) -> None:
    with producing("0.3", tmp_path) as producer:
        producer.call("nap", name="a", seconds=0.1)
    with pytest.raises(
        BrokerError, match="whose single queue has no name: leave queues out, or name another file"
    ) as caught:
        await count(tmp_path, "gpu")
    assert caught.value.kind is BrokerErrorKind.UNSUPPORTED


async def test_named_queues_are_counted_by_their_names(tmp_path: Path) -> None:
    with producing("0.4", tmp_path) as producer:
        producer("route", ids=["a", "b"], queue="gpu", priority=0.0)
        producer("route", ids=["c"], queue="mail", priority=7.0)
        for queues in (["gpu"], ["gpu", "mail"], ["default"]):
            assert await count(tmp_path, *queues) == producer("queued_in", queues=queues)
    assert await count(tmp_path) == 3


@pytest.mark.parametrize("broken", ["no SQLite file", ""])
async def test_what_is_no_file_of_pynencs_is_no_zero_by_mistake(broken: str, tmp_path: Path) -> None:
    file = tmp_path / "pynenc.db"
    with pytest.raises(BrokerError, match="no such file"):
        await count(tmp_path)
    (tmp_path / "elsewhere.db").write_text(broken * 100)
    file.symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(BrokerError, match="leads through a link"):
        await count(tmp_path)
    file.unlink()
    file.write_text(broken * 100)
    if broken:
        with pytest.raises(BrokerError) as caught:
            await count(tmp_path)
        assert caught.value.cause == "DatabaseError"
    else:
        assert await count(tmp_path) == 0  # as pynenc's own would: it has just been made


async def test_a_file_that_has_grown_too_large_to_be_searched_in_time_has_its_queue_counted_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with producing("0.3", tmp_path) as producer:
        producer.call("nap", name="a", seconds=0.1)
    with closing(sqlite3.connect(tmp_path / "pynenc.db")) as connection, connection:
        [table] = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%orchestrator_invocations'")
        ids = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000) SELECT x FROM n"
        row = "invocation_id, task_id_key, call_id_key, status, status_timestamp"
        connection.execute(f"INSERT INTO {table[0]} ({row}) SELECT x, '', '', 'success', 0 FROM ({ids})")  # noqa: S608 - pynenc's name
    found = await ask(tmp_path, CountInvocations(STATUSES))
    assert found is not None
    assert found["success"] == 100_000
    monkeypatch.setattr(sqliteapp, "_READ_SECONDS", 0.0)
    with closing(BackendSource(deadline=30.0)) as source:
        backend = Backend(BackendKind.SQLITE, str(tmp_path / "pynenc.db"), "shop")
        with pytest.raises(BrokerError, match="OperationalError") as caught:
            await source.ask(backend, CountInvocations(STATUSES))
        assert caught.value.kind is not BrokerErrorKind.TIMEOUT  # after which its server would rest
        assert (await source.ask(backend, CountQueue())).waiting == 1


async def test_a_folder_that_is_a_link_does_not_lead_to_anothers_file(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    with producing("0.3", theirs) as producer:
        producer.call("nap", name="a", seconds=0.1)
    assert await count(theirs) == 1
    (tmp_path / "ours").symlink_to(theirs)  # as whoever may write to the volume can make it
    with pytest.raises(BrokerError, match="leads through a link") as caught:
        await count(tmp_path / "ours")
    assert caught.value.kind is BrokerErrorKind.REFUSED
