import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples.demo import streams as module
from examples.demo.streams import EVENTS, LOG, PODS, RUNNERS, Line, Streams, watch
from tests.cluster.console import ClusterError
from tests.cluster.paths import ROOT
from tests.unit.demo.conftest import Program


def read(streams: Streams, count: int, within: float = 10) -> list[Line]:
    """The next so many lines with text."""
    found: list[Line] = []
    deadline = time.monotonic() + within
    while len(found) < count and time.monotonic() < deadline:
        streams.tend()
        found += [line for line in streams.read(0.05) if line.text is not None]
    return found


def test_a_watch_asks_for_events_of_the_labelled_objects() -> None:
    assert watch("/api/v1/pods", "a=b,c=d") == [
        *("kubectl", "get", "--raw"),
        "/api/v1/pods?watch=true&timeoutSeconds=120&labelSelector=a%3Db%2Cc%3Dd",
    ]


def test_lines_come_with_their_stream_and_time_as_they_are_printed(program: Program) -> None:
    client = program('case "$1 $3" in "get "*) echo "$3";; logs*) echo said;; esac; exec sleep 60')
    with Streams(client) as streams:
        begun = time.time()
        streams.follow(PODS, RUNNERS, EVENTS, LOG)
        lines = {line.stream: line for line in read(streams, 4)}
    assert lines[LOG].text == "said\n"
    assert "/namespaces/demo/pods?watch=true" in (lines[PODS].text or "")
    assert "/namespaces/demo/multithreadrunners?watch=true" in (lines[RUNNERS].text or "")
    assert "/apis/events.k8s.io/v1/namespaces/demo/events?watch=true" in (lines[EVENTS].text or "")
    assert all(begun <= line.at <= time.time() for line in lines.values())


def test_a_stream_that_ends_starts_anew_and_says_so(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RESTART_AFTER", 0.0)
    client = program("echo x >> starts; wc -l < starts")
    with Streams(client) as streams:
        streams.follow(PODS)
        found: list[Line] = []
        deadline = time.monotonic() + 10
        while len(found) < 4 and time.monotonic() < deadline:
            found += streams.read(0.05)
            streams.tend()
    assert [line.text for line in found[:4]] == [None, "1\n", None, "2\n"]


def test_a_stream_that_never_gives_anything_is_an_error_with_what_it_said(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RESTART_AFTER", 0.0)
    monkeypatch.setattr(module, "_SILENT_ATTEMPTS", 3)
    client = program("echo forbidden >&2; exit 1")
    with Streams(client) as streams:
        streams.follow(PODS)
        with pytest.raises(ClusterError, match=r"gives nothing in 3 attempts: .*forbidden"):
            read(streams, 1)


def test_nothing_is_left_running(program: Program) -> None:
    client = program("echo $$; exec sleep 60")
    with Streams(client) as streams:
        streams.follow(PODS)
        (line,) = read(streams, 1)
        pid = int(line.text or "")
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()


def test_a_killed_demo_leaves_no_kubectl_behind(program: Program, tmp_path: Path) -> None:
    program("echo $$ > pid; exec sleep 60")
    text = (
        "import time; from examples.demo.client import Client; from examples.demo.streams import Streams\n"
        f"streams = Streams(Client(lambda line: line, {{'PATH': '{tmp_path}:/usr/bin:/bin'}}))\n"
        "streams.follow('pods'); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", text], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}) as demo:
        deadline = time.monotonic() + 20
        noted = tmp_path / "pid"
        while not (noted.exists() and noted.read_text().strip()) and time.monotonic() < deadline:
            time.sleep(0.05)
        pid = int(noted.read_text())
        demo.kill()
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()
