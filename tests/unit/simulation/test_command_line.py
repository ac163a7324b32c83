"""What `make simulate` says and returns."""

import subprocess
import sys

import pytest

from tests.unit.simulation import anything, command_line, worstmoments
from tests.unit.simulation.run import BusyPodDeletedError
from tests.unit.simulation.seeds import Result, run_seed


def test_it_ends_with_the_sum() -> None:
    command = (sys.executable, "-m", "tests.unit.simulation", "--seeds", "4", "--first", "8", "--processes", "1")
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    words = ended.stdout.splitlines()[-1].split()
    assert words[:2] == ["4", "seeds,"]
    assert int(words[2]) > 0
    assert words[3:] == ["scale-downs,", "0", "busy", "pods", "deleted"]


def test_a_seed_that_fails_is_told_with_its_story_and_how_to_replay_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = [Result(6, scale_downs=3), Result(7, busy_pods_deleted=1, problem="busy pod a is deleted\n 1.0  a")]
    monkeypatch.setattr(command_line, "run_seeds", lambda *_: iter(results))
    monkeypatch.setattr(sys, "argv", ["simulate", "--seeds", "2", "--first", "6"])

    assert command_line.main() == 1

    lines = capsys.readouterr().out.splitlines()
    assert "seed 7 FAILED: busy pod a is deleted" in lines
    assert "replay it: make simulate SEED=7" in lines
    assert lines[-1] == "2 seeds, 3 scale-downs, 1 busy pods deleted"


def test_an_interrupted_run_says_how_far_it_got(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "run_seeds", interrupted)
    monkeypatch.setattr(sys, "argv", ["simulate"])
    assert command_line.main() == 130
    assert "so far: 0 seeds" in capsys.readouterr().out


def test_a_seed_gives_the_same_story_again() -> None:
    for seed in anything.seeds_of(worstmoments.a_pin_to_and_fro, 50):
        assert run_seed(seed) == run_seed(seed)


def test_a_bug_is_told_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("pynenc_operator.scaling._need", broken)
    assert "ZeroDivisionError" in run_seed(1).problem


def test_a_busy_pod_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def deleted(*_: object, **__: object) -> None:
        raise BusyPodDeletedError("busy pod a is deleted")

    monkeypatch.setattr("tests.unit.simulation.seeds.simulate", deleted)
    assert run_seed(1) == Result(1, busy_pods_deleted=1, problem="busy pod a is deleted")
