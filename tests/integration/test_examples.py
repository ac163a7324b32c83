"""The examples, as a user applies them: without a warning where only pods of the restricted level may be."""

import json
from pathlib import Path

import pytest
import yaml

from examples.demo.backend import FILE, FOLDER, Sqlite
from examples.demo.sharedfolder import SharedFolder
from pynenc_operator.podspec import build_worker_pod
from tests.cluster.half_cluster import HalfCluster
from tests.cluster.paths import ROOT
from tests.documents import blocks

EXAMPLES = ROOT / "examples"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
NAMESPACE = "examples"


@pytest.fixture(scope="module")
def restricted(crd_installed: HalfCluster) -> HalfCluster:
    crd_installed.create_namespace(NAMESPACE, RESTRICTED)
    return crd_installed


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_it_is_taken_without_a_warning(restricted: HalfCluster, file: Path) -> None:
    done = restricted.kubectl("apply", "--dry-run=server", f"--namespace={NAMESPACE}", "-f", str(file))
    assert done.stderr == ""
    assert done.stdout.count("(server dry run)") == len(list(yaml.safe_load_all(file.read_text())))


def test_each_backends_example_is_taken_with_its_pod(restricted: HalfCluster) -> None:
    runners = blocks((ROOT / "docs" / "backends.md").read_text(), "yaml")
    backends = [next(iter(yaml.safe_load(each)["spec"]["backend"])) for each in runners]
    assert backends == ["redis", "rabbitmq", "mongodb", "sqlite", "redis"]
    at_once = ("--dry-run=server", f"--namespace={NAMESPACE}", "--output=json", "-f", "-")
    restricted.kubectl("create", "serviceaccount", "pynenc-worker", f"--namespace={NAMESPACE}", check=False)
    for each in runners:
        runner = json.loads(restricted.kubectl("create", *at_once, input=each).stdout)
        made = restricted.kubectl("create", *at_once, input=json.dumps(build_worker_pod(runner, "reports-0")))
        assert made.stderr == ""


def test_the_examples_worker_pod_is_let_in(restricted: HalfCluster) -> None:
    at_once = ("--dry-run=server", f"--namespace={NAMESPACE}", "--output=json")
    runner = json.loads(restricted.kubectl("create", *at_once, "-f", str(EXAMPLES / "runner.yaml")).stdout)
    restricted.kubectl("create", "serviceaccount", "pynenc-worker", f"--namespace={NAMESPACE}", check=False)
    pod = build_worker_pod(runner, "reports-0")
    made = restricted.kubectl("create", *at_once, "-f", "-", input=json.dumps(pod))
    assert made.stderr == ""
    assert json.loads(made.stdout)["metadata"]["name"] == "reports-0"


def test_the_demos_objects_for_sqlite_are_taken(restricted: HalfCluster) -> None:
    owner = json.loads(restricted.kubectl("get", "namespace", NAMESPACE, "-o", "json").stdout)
    folder = SharedFolder("examples-sqlite", FOLDER, "node1", owner)
    maker, job = folder.making(NAMESPACE, FILE, "reports:1")
    restricted.kubectl("create", "-f", "-", input=json.dumps(maker))
    for namespace in (NAMESPACE, folder.maker):
        restricted.kubectl("create", "serviceaccount", "default", f"--namespace={namespace}", check=False)
    root = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root"}, "spec": job["spec"]["template"]["spec"]}
    parts = [(part, folder.maker) for part in (job, root)]
    parts += [(part, NAMESPACE) for part in (*folder.volume(NAMESPACE), Sqlite().runner("reports:1"))]
    parts.append((Sqlite().producer("reports:1"), NAMESPACE))
    for part, namespace in parts:
        at_once = ("--dry-run=server", f"--namespace={namespace}", "-f", "-")
        assert restricted.kubectl("create", *at_once, input=json.dumps(part)).stderr == ""
    refused = restricted.kubectl(
        *("create", "--dry-run=server", f"--namespace={NAMESPACE}", "-f", "-"), input=json.dumps(root), check=False
    )
    assert "violates PodSecurity" in refused.stderr  # which is why it has a namespace of its own
