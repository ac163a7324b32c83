"""What the example's tasks note of themselves, where their app is on SQLite."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.reports import tasks


@pytest.fixture(autouse=True)
def _on_sqlite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tasks, "SQLITE", str(tmp_path / "pynenc.db"))


def test_nothing_is_noted_in_a_new_file() -> None:
    assert tasks.noted(0) == []


def test_a_reader_goes_on_where_it_was() -> None:
    tasks.note("one")
    tasks.note("two")
    assert tasks.noted(0) == ["one", "two"]
    tasks.note("three")
    assert tasks.noted(2) == ["three"]
    assert tasks.noted(3) == []


def test_many_at_once_lose_nothing() -> None:
    lines = [str(number) for number in range(40)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(tasks.note, lines))
    assert sorted(tasks.noted(0)) == sorted(lines)
