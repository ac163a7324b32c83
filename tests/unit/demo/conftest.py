from collections.abc import Callable
from pathlib import Path

import pytest

from examples.demo import client as module
from examples.demo.client import Client

type Program = Callable[[str], Client]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Makes a kubectl of a shell text that runs in tmp_path; returns a client that runs it."""
    monkeypatch.setattr(module, "PAUSE", 0.0)

    def make(text: str) -> Client:
        (tmp_path / "kubectl").write_text(f"#!/bin/sh\ncd {tmp_path}\n{text}\n")
        (tmp_path / "kubectl").chmod(0o755)
        return Client(lambda line: line, {"PATH": f"{tmp_path}:/usr/bin:/bin"})

    return make
