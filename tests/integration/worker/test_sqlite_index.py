"""What the worker reads and writes itself in pynenc's SQLite file, beside what pynenc does."""

import gc
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pynenc import Pynenc

from pynenc_worker.sqlite_backend import SqliteIndex

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynenc leaves files open


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Any]:
    file = str(tmp_path / "pynenc.db")
    classes = {"orchestrator_cls": "SQLiteOrchestrator", "broker_cls": "SQLiteBroker"}
    app = Pynenc(config_values={"app_id": "shop", "sqlite_db_path": file, "logging_level": "error", **classes})
    yield app
    del app
    gc.collect()  # while what it leaves open is still ignored


def active(app: Any) -> set[str]:
    return {str(one.runner_id) for one in app.orchestrator.get_active_runners()}


def test_runners_are_silent_by_their_last_heartbeat_and_one_is_forgotten_alone(app: Any) -> None:
    index = SqliteIndex(app)
    assert index.silent_runners(60) == []
    app.orchestrator.register_runner_heartbeats(["living", "silent", "leaving"])
    with closing(sqlite3.connect(app.orchestrator.sqlite_db_path)) as connection, connection:
        table = app.orchestrator.tables.RUNNER_HEARTBEATS
        older = f"UPDATE {table} SET last_heartbeat = ? WHERE runner_id = 'silent'"  # noqa: S608 - pynenc's name
        connection.execute(older, (time.time() - 61,))
    assert index.silent_runners(60) == ["silent"]
    index.forget_runner("leaving")
    assert active(app) == {"living", "silent"}
    index.forget_runner("leaving")
    index.forget_runner("silent")
    assert (active(app), index.silent_runners(60)) == ({"living"}, [])
