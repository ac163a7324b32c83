"""docs/quickstart.md as a reader follows it, as far as a cluster without nodes goes: nothing of it is refused."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pynenc_operator.podspec import build_worker_pod
from tests import documents
from tests.cluster.half_cluster import HalfCluster
from tests.cluster.paths import ROOT
from tests.cluster.programs import command

PAGE = (ROOT / "docs" / "quickstart.md").read_text()
REGISTRY = "registry.example/team"
NAMESPACE = "reports"
NAMESPACES = {NAMESPACE, "pynenc-system"}
WRITES = {"create", "apply", "patch", "scale", "delete"}
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def blocks(language: str) -> list[str]:
    return documents.blocks(PAGE, language)


ALL: list[dict[str, Any]] = [part for block in blocks("yaml") for part in yaml.safe_load_all(block)]
OF_A_POD = [part for part in ALL if "containers" in part]
MANIFESTS = [part for part in ALL if part not in OF_A_POD]
COMMANDS = [
    [word.replace("$REGISTRY", REGISTRY) for word in shlex.split(line)]
    for block in blocks("sh")
    for line in block.replace("\\\n", " ").splitlines()
]


def of(program: str) -> list[list[str]]:
    return [words[1:] for words in COMMANDS if words[0] == program]


@pytest.fixture(scope="module")
def followed(crd_installed: HalfCluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[HalfCluster, Path]:
    """The reader's namespace and files; the runner is applied, and the operator would have found it Ready."""
    crd_installed.create_namespace(NAMESPACE, RESTRICTED)
    folder = tmp_path_factory.mktemp("quickstart")
    for manifest in MANIFESTS:
        if manifest.get("kind") == "MultiThreadRunner":
            (folder / "runner.yaml").write_text(json.dumps(manifest))
        elif manifest.get("kind") == "Job":
            (folder / "producer.yaml").write_text(json.dumps(manifest))
    crd_installed.kubectl("apply", f"--namespace={NAMESPACE}", "-f", str(folder / "runner.yaml"))
    ready = {"type": "Ready", "status": "True", "reason": "AtZero", "message": "", "lastTransitionTime": None}
    ready["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    status = json.dumps({"status": {"conditions": [ready]}})
    crd_installed.kubectl(
        "patch", "mtr", "reports", f"--namespace={NAMESPACE}", "--subresource=status", "--type=merge", "-p", status
    )
    return crd_installed, folder


def test_only_programs_that_the_page_asks_for_are_called() -> None:
    assert {words[0] for words in COMMANDS} == {f"REGISTRY={REGISTRY}", "kubectl", "docker", "helm"}


@pytest.mark.parametrize("words", of("kubectl"), ids=" ".join)
def test_kubectl_takes_it_without_a_warning(followed: tuple[HalfCluster, Path], words: list[str]) -> None:
    cluster, folder = followed
    if words[:2] == ["create", "namespace"]:
        assert words[2] in NAMESPACES
        words = [*words[:2], f"{words[2]}-2"]
    if "pynenc-system" in words:
        cluster.ensure_namespace("pynenc-system")
    if "--for=delete" in words:  # which only the dry run of a deletion has come before
        cluster.kubectl("delete", "pods", "--all", f"--namespace={NAMESPACE}", "--grace-period=0", "--force")
    if words[:2] == ["delete", "pod"]:
        make_pod(cluster, words[2])
    files = {"runner.yaml": folder, "producer.yaml": folder, "examples/redis.yaml": ROOT}
    words = [str(files[word] / word) if word in files else word for word in words if word != "--watch"]
    dry = ["--dry-run=server"] if words[0] in WRITES else []
    done = cluster.kubectl(*words, *dry)
    assert done.stderr.replace(f"No resources found in {NAMESPACE} namespace.\n", "") == ""


def make_pod(cluster: HalfCluster, name: str) -> None:
    """A pod of the runner, as the operator would make it; no node takes it, so that it goes at once."""
    inside = f"--namespace={NAMESPACE}"
    runner = json.loads(cluster.kubectl("get", "mtr", "reports", inside, "-o", "json").stdout)
    if not cluster.kubectl("get", "serviceaccount", "pynenc-worker", inside, "--ignore-not-found").stdout:
        cluster.kubectl("create", "serviceaccount", "pynenc-worker", inside)
    cluster.kubectl("create", inside, "-f", "-", input=json.dumps(build_worker_pod(runner, name)))


@pytest.mark.parametrize("field", ["template", "backend"])
def test_the_fragments_fit_below_the_spec(followed: tuple[HalfCluster, Path], field: str) -> None:
    cluster, folder = followed
    fragments = [manifest for manifest in MANIFESTS if "kind" not in manifest]
    assert {name for fragment in fragments for name in fragment} == {"template", "backend"}
    [fragment] = [fragment for fragment in fragments if field in fragment]
    runner = json.loads((folder / "runner.yaml").read_text())
    if field == "backend":
        del runner["spec"]["backend"]  # exactly one is allowed
    runner["spec"] |= fragment
    runner["metadata"]["name"] = "reports-2"
    arguments = ("create", "--dry-run=server", f"--namespace={NAMESPACE}", "-o", "json", "-f", "-")
    applied = json.loads(cluster.kubectl(*arguments, input=json.dumps(runner)).stdout)
    assert applied["spec"][field] == fragment[field]


def test_the_volumes_of_sqlite_are_taken_and_belong_together(followed: tuple[HalfCluster, Path]) -> None:
    cluster, _ = followed
    parts = {part["kind"]: part for part in MANIFESTS if part.get("kind", "").startswith("PersistentVolume")}
    volume, claim = parts["PersistentVolume"], parts["PersistentVolumeClaim"]
    for part in (volume, claim | {"metadata": claim["metadata"] | {"namespace": NAMESPACE}}):
        cluster.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(part))
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
    meta = claim["metadata"]
    assert volume["spec"]["claimRef"] == {"namespace": meta["namespace"], "name": meta["name"]}
    [backend] = [manifest["backend"]["sqlite"] for manifest in MANIFESTS if "backend" in manifest]
    folder = volume["spec"]["hostPath"]["path"]
    assert backend["claimName"] == meta["name"]
    assert f"`{folder}/{NAMESPACE}/{backend['path']}`" in PAGE


def test_a_producer_on_sqlite_is_the_job_with_the_volume_and_its_file(followed: tuple[HalfCluster, Path]) -> None:
    cluster, folder = followed
    job = json.loads((folder / "producer.yaml").read_text())
    [pod], (inside,) = OF_A_POD, job["spec"]["template"]["spec"]["containers"]
    [changed] = pod["containers"]
    kept = [each for each in inside["env"] if not each["name"].endswith("_URL")]
    job["spec"]["template"]["spec"] |= {**pod, "containers": [{**inside, **changed, "env": [*kept, *changed["env"]]}]}
    cluster.kubectl("create", "--dry-run=server", f"--namespace={NAMESPACE}", "-f", "-", input=json.dumps(job))
    [backend] = [manifest["backend"]["sqlite"] for manifest in MANIFESTS if "backend" in manifest]
    [volume], [mount], [file] = pod["volumes"], changed["volumeMounts"], changed["env"]
    assert volume["persistentVolumeClaim"]["claimName"] == backend["claimName"]
    assert (mount["name"], mount["subPath"]) == (volume["name"], NAMESPACE)
    assert file == {"name": "PYNENC__SQLITE_DB_PATH", "value": f"{mount['mountPath']}/{backend['path']}"}


def test_the_images_are_built_of_files_that_are_there_and_used_as_they_are_tagged() -> None:
    builds = [words for words in of("docker") if words[0] == "build"]
    tagged = {words[words.index("-t") + 1] for words in builds}
    for words in builds:
        context = ROOT / words[-1]
        file = ROOT / words[words.index("-f") + 1] if "-f" in words else context / "Dockerfile"
        assert file.is_file()
    assert {words[1] for words in of("docker") if words[0] == "push"} == tagged
    used = set(re.findall(rf"image: ({REGISTRY}\S+)", PAGE))
    assert used < tagged
    [base] = [words[words.index("--build-arg") + 1] for words in builds if "--build-arg" in words]
    assert base.removeprefix("BASE_IMAGE=") in tagged - used


def test_helm_takes_the_chart_with_these_values(followed: tuple[HalfCluster, Path]) -> None:
    cluster, _ = followed
    [install] = [words for words in of("helm") if words[0] == "install"]
    variants = [[], ["--set", "imagePullSecrets[0].name=my-registry"], ["--set", "watchNamespaces={reports}"]]
    for extra in variants:
        assert not extra or f"`{extra[0]} '{extra[1]}'`" in PAGE
        arguments = [word for word in install[1:] if word not in {"--wait", "--create-namespace"}]
        done = subprocess.run(
            [str(command("helm")), "template", *arguments, *extra],
            cwd=ROOT,
            env=os.environ | {"KUBECONFIG": str(cluster.kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert f'image: "{REGISTRY}/pynenc-operator:0.1.0"' in done.stdout
    release, namespace = install[1], install[install.index("--namespace") + 1]
    for words in of("helm"):
        assert (words[1], words[words.index("--namespace") + 1]) == (release, namespace)
