import json
from pathlib import Path

import pytest

from examples.demo import client as module
from examples.demo.client import Client
from tests.cluster.console import ClusterError
from tests.unit.demo.conftest import Program


def test_what_kubectl_says_is_in_the_error(program: Program) -> None:
    client = program("echo 'Error from server (Forbidden): no' >&2; exit 1")
    with pytest.raises(ClusterError, match=r"`kubectl get pods` failed: Error from server \(Forbidden\): no"):
        client.kubectl("get", "pods")


def test_a_server_that_was_not_reached_is_tried_again(program: Program, tmp_path: Path) -> None:
    client = program("echo x >> tries; [ $(wc -l < tries) = 3 ] || { echo 'connection refused' >&2; exit 1; }; echo ok")
    assert client.kubectl("version") == "ok\n"
    assert (tmp_path / "tries").read_text() == "x\nx\nx\n"


def test_a_refusal_is_not_tried_again(program: Program, tmp_path: Path) -> None:
    client = program("echo x >> tries; echo 'is invalid' >&2; exit 1")
    with pytest.raises(ClusterError, match="is invalid"):
        client.kubectl("apply")
    assert (tmp_path / "tries").read_text() == "x\n"


def test_a_command_that_hangs_is_ended_and_waiting_for_it_is_said(
    program: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "SAY_EVERY", 0.2)
    client = program("exec sleep 60")
    with pytest.raises(ClusterError, match="`kubectl wait` did not end in 1 s"):
        client.kubectl("wait", timeout=1)
    assert "waiting for `kubectl wait`" in capsys.readouterr().err


def test_what_is_given_arrives_whole_also_at_a_slow_reader(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAY_EVERY", 0.1)
    client = program("sleep 0.5; cat > given; wc -c < given")
    assert int(client.kubectl("apply", given="x" * 300_000)) == 300_000


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    client = Client(lambda line: line, {"PATH": str(tmp_path)})
    with pytest.raises(ClusterError, match="there is no `helm`"):
        client.run(["helm", "list"], timeout=5)


def test_objects_are_applied_as_a_list_in_their_namespace(program: Program, tmp_path: Path) -> None:
    client = program('echo "$@" > line; cat > given')
    client.apply({"kind": "A"}, {"kind": "B"}, namespace="demo")
    assert (tmp_path / "line").read_text() == "apply --namespace demo -f -\n"
    assert [item["kind"] for item in json.loads((tmp_path / "given").read_text())["items"]] == ["A", "B"]


def test_an_object_that_is_not_there_is_none(program: Program) -> None:
    assert program("true").get("pod", "x") is None
