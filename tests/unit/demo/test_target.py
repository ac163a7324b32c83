from pathlib import Path

import pytest

from examples.demo import target
from examples.demo.__main__ import json_file
from tests.cluster import images
from tests.cluster.images import Image


def test_the_local_cluster_is_the_default() -> None:
    assert isinstance(target.chosen({}), target.LocalCluster)
    assert isinstance(target.chosen({"CLUSTER": "local", "REGISTRY": ""}), target.LocalCluster)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"CLUSTER": "current"}, "CLUSTER=current needs REGISTRY=host/path"),
        ({"CLUSTER": "current", "REGISTRY": "registry.example"}, "needs REGISTRY=host/path"),
        ({"CLUSTER": "current", "REGISTRY": "https://registry.example/team"}, "needs REGISTRY=host/path"),
        ({"CLUSTER": "kind"}, "CLUSTER=kind is neither `local`"),
        ({"REGISTRY": "registry.example/team"}, "REGISTRY is for CLUSTER=current"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_the_mend(environment: dict[str, str], said: str) -> None:
    with pytest.raises(target.UsageError, match=said):
        target.chosen(environment)


def test_images_for_another_cluster_are_pushed_and_named_by_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    pushed: dict[Image, str] = {}

    def push(built: dict[Image, str], registry: str) -> dict[Image, str]:
        pushed.update(built)
        return {image: f"{registry}/{image.repository}:dev-{number}" for image, number in built.items()}

    monkeypatch.setattr(images, "build", lambda wanted: {image: f"id{n}" for n, image in enumerate(wanted)})
    monkeypatch.setattr(images, "push", push)
    references = target.CurrentCluster("registry.example/team", {}).images()
    assert set(pushed) == {images.OPERATOR, images.DEMO}
    assert references.operator == "registry.example/team/pynenc-operator:dev-id0"
    assert references.demo == "registry.example/team/pynenc-demo:dev-id2"
    assert references.redis == "docker.io/library/redis:7"


def test_the_current_cluster_takes_the_users_kubectl_and_helm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("kubectl", "helm"):
        (tmp_path / name).write_text('#!/bin/sh\necho mine "$@" with $KUBECONFIG\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(target, "build", lambda names: pytest.fail(f"{names} were built"))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "KUBECONFIG": "my.kubeconfig"}
    chosen = target.chosen({**environment, "CLUSTER": "current", "REGISTRY": "registry.example/team/"})
    chosen.programs()
    assert chosen.client().kubectl("get", "pods") == "mine get pods with my.kubeconfig\n"


def test_the_current_cluster_builds_the_clients_that_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kubectl").write_text("#!/bin/sh\n")
    (tmp_path / "kubectl").chmod(0o755)
    built: list[str] = []
    monkeypatch.setattr(target, "build", built.extend)
    target.CurrentCluster("registry.example/team", {"PATH": str(tmp_path)}).programs()
    assert built == ["helm"]


def test_a_summary_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    assert json_file({}) is None
    assert json_file({"DEMO_JSON": str(tmp_path / "demo.json")}) == tmp_path / "demo.json"
    for name in (tmp_path / "missing" / "demo.json", tmp_path):
        with pytest.raises(target.UsageError, match="can't be written"):
            json_file({"DEMO_JSON": str(name)})


def test_one_demo_at_a_time_runs_on_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    locks = set()
    for name in ("one", "other"):
        monkeypatch.setenv("PYNENC_CLUSTER", name)
        locks |= {target.chosen({}).lock, target.chosen({}).lock}
    assert len(locks | {target.CurrentCluster("registry.example/team", {}).lock}) == 3
