import json
from pathlib import Path
from typing import Any

import pytest

from examples.demo import backend, stage
from examples.demo.backend import Redis
from tests.cluster.console import ClusterError
from tests.unit.demo.conftest import Program


def applied(folder: Path) -> list[dict[str, Any]]:
    """What kubectl was given to apply."""
    items: list[dict[str, Any]] = json.loads((folder / "given").read_text())["items"]
    return items


def images(part: dict[str, Any]) -> list[str]:
    return [container["image"] for container in part["spec"]["template"]["spec"]["containers"]]


def test_the_load_is_what_the_demo_promises() -> None:
    (job,) = backend.read("producer.yaml")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "reports.enqueue", "--short", "36", "--long", "4"]
    assert job["spec"]["backoffLimit"] == 0


def test_the_runner_is_what_the_demo_promises() -> None:
    (runner,) = backend.read("runner.yaml")
    assert runner["metadata"] == {"name": stage.RUNNER}
    wanted = {"minReplicas": 0, "maxReplicas": 10, "maxThreads": 1, "idleTimeoutSeconds": 10}
    assert wanted.items() <= runner["spec"].items()


def test_producer_and_runner_name_the_same_app_and_queue() -> None:
    (job,), (runner,) = backend.read("producer.yaml"), backend.read("runner.yaml")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    assert variables["PYNENC__APP_ID"] == runner["spec"]["appId"]
    assert variables["PYNENC__REDIS_URL"] == runner["spec"]["backend"]["redis"]["url"]


def test_the_producer_runs_the_clusters_image(program: Program, tmp_path: Path) -> None:
    stage.start_producer(program("cat > given"), Redis().producer("registry.example/team/pynenc-demo:1"))
    (job,) = applied(tmp_path)
    assert images(job) == ["registry.example/team/pynenc-demo:1"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"][-2:] == ["4", "--stay"]  # the demo reads its log until the pool is back at zero


def test_a_namespace_of_somebody_else_is_left_alone(program: Program, tmp_path: Path) -> None:
    client = program("""[ "$1" = get ] && echo '{"metadata": {"labels": {"team": "theirs"}}}' || touch written""")
    with pytest.raises(ClusterError, match="there is a namespace demo that the demo has not made"):
        stage.open_namespace(client)
    assert not (tmp_path / "written").exists()


def test_a_namespace_of_its_own_is_taken_and_restricted(program: Program, tmp_path: Path) -> None:
    labels = {"app.kubernetes.io/managed-by": "pynenc-demo"}
    found = json.dumps({"metadata": {"labels": labels}})
    stage.open_namespace(program(f"[ $1 = get ] && echo '{found}' || cat > given"))
    (namespace,) = applied(tmp_path)
    assert namespace["metadata"]["labels"] == {**labels, "pod-security.kubernetes.io/enforce": "restricted"}


def test_clearing_deletes_pods_until_none_is_left(program: Program, tmp_path: Path) -> None:
    (tmp_path / "left").write_text("pod/reports-0\npod/reports-1\n")
    client = program(
        """echo "$@" >> lines
        case "$*" in
            "get pods"*managed-by*) cat left;;
            "delete pod/reports-0"*) echo pod/reports-1 > left;;
            "delete pod/reports-1"*) : > left;;
        esac"""
    )
    stage.clear(client)
    asked = (tmp_path / "lines").read_text().splitlines()
    assert asked[0].startswith("delete multithreadrunners --all --namespace demo")
    assert asked[1].startswith("delete job producer --namespace demo")
    assert [line.split()[1:3] for line in asked if line.startswith("delete pod")] == [
        ["pod/reports-0", "pod/reports-1"],
        ["pod/reports-1", "--namespace"],
    ]


def test_pods_that_do_not_go_are_named(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_GONE_WITHIN", 0.0)
    client = program("""case "$*" in "get pods"*managed-by*) echo pod/reports-7;; esac""")
    with pytest.raises(ClusterError, match=r"still there after 0 s: pod/reports-7"):
        stage.clear(client)
