"""SQLite files of both lines of pynenc, made by themselves: counted alike, and never changed by the operator."""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.broker import BackendSource
from pynenc_operator.questions import CountQueue
from tests.cluster.paths import ROOT
from tests.integration.worker.processes import Line, Producer

PYTHONS = {"0.3": Path(sys.executable), "0.4": ROOT / ".venv-next" / "bin" / "python"}
both_lines = pytest.mark.parametrize("line", PYTHONS)


@contextmanager
def producing(line: str, folder: Path) -> Iterator[Producer]:
    file = str(folder / "pynenc.db")
    producer = Producer(Line(python=PYTHONS[line], backend="sqlite", url=file, folder=folder, app_id="shop"))
    yield producer
    producer.close()


async def count(folder: Path, *queues: str, app_id: str = "shop") -> int:
    with closing(BackendSource(deadline=30.0)) as source:
        backend = Backend(BackendKind.SQLITE, str(folder / "pynenc.db"), app_id, queues)
        return (await source.ask(backend, CountQueue())).waiting


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
