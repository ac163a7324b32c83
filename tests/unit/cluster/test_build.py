"""Building the programs, with a go that is missing, old, failing or slow."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from tests.cluster import build
from tests.cluster.console import ClusterError
from tests.cluster.programs import ON_DEMAND, PROGRAMS

GOOD = """
case "$1" in
  env) echo go1.26.8 ;;
  list) echo one; echo two ;;
  build) echo one >&2; while [ "$1" != -o ]; do shift; done; echo program > "$2" ;;
esac
"""


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("PYNENC_OPERATOR_CACHE", str(tmp_path / "cache"))
    return folder


def go(folder: Path, script: str) -> None:
    program = folder / "go"
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)


def left(name: str = "partial-*") -> list[Path]:
    return list(PROGRAMS["etcd"].built.parent.glob(name))


def test_a_built_program_is_kept_and_not_built_again(bin_folder: Path) -> None:
    go(bin_folder, GOOD)
    build.build(["etcd"])
    assert (PROGRAMS["etcd"].built / "etcd").read_text() == "program\n"
    go(bin_folder, "exit 1")
    build.build(["etcd"])
    assert left() == []


def test_a_program_on_demand_is_built_by_name_only(bin_folder: Path) -> None:
    go(bin_folder, GOOD)
    build.build(["kwok"])
    assert (ON_DEMAND["kwok"].built / "kwok").read_text() == "program\n"
    assert not PROGRAMS["etcd"].built.exists()


def test_missing_go_is_an_error_with_the_mend(bin_folder: Path) -> None:
    assert not (bin_folder / "go").exists()
    with pytest.raises(ClusterError, match=r"no `go` on PATH.*Install Go 1\.26 or newer"):
        build.build(["etcd"])


def test_old_go_is_an_error_with_the_mend(bin_folder: Path) -> None:
    go(bin_folder, "echo go1.19.8")
    with pytest.raises(ClusterError, match=r"go1\.19\.8.*Install Go 1\.26 or newer"):
        build.build(["etcd"])


def test_a_failed_build_says_why_and_leaves_nothing(bin_folder: Path) -> None:
    go(bin_folder, GOOD.replace("build) ", "build) echo 'dial tcp: no route' >&2; exit 1;; never) "))
    with pytest.raises(ClusterError, match=r"(?s)failed for etcd.*no route.*check GOPROXY"):
        build.build(["etcd"])
    assert left("etcd-*") == left() == []


def test_a_killed_build_ends_its_compiler_and_does_not_break_the_next(bin_folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    go(bin_folder, GOOD.replace("build) ", f"build) echo $$ > {marker}; exec sleep 600;; never) "))
    killed = multiprocessing.get_context("spawn").Process(target=build.build, args=(["etcd"],))
    killed.start()
    deadline = time.monotonic() + 30
    while not marker.exists() or not marker.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert killed.pid
    os.kill(killed.pid, signal.SIGKILL)
    killed.join(10)
    compiler = Path(f"/proc/{int(marker.read_text())}")
    while compiler.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert left()
    go(bin_folder, GOOD)
    build.build(["etcd"])
    assert (PROGRAMS["etcd"].built / "etcd").exists()
    assert left() == []


def test_an_unknown_program_is_named_with_the_known_ones() -> None:
    with pytest.raises(ClusterError, match=r"docker: choose from etcd, kubernetes"):
        build.build(["docker"])
