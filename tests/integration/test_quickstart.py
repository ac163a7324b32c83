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

from tests.cluster.half_cluster import HalfCluster
from tests.cluster.paths import ROOT
from tests.cluster.programs import command

PAGE = (ROOT / "docs" / "quickstart.md").read_text()
REGISTRY = "registry.example/team"
NAMESPACE = "reports"
WRITES = {"create", "apply", "patch", "scale", "delete"}
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


MANIFESTS: list[dict[str, Any]] = [yaml.safe_load(block) for block in blocks("yaml")]
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
        assert words[2] == NAMESPACE
        words = [*words[:2], f"{NAMESPACE}-2"]
    files = {"runner.yaml": folder, "producer.yaml": folder, "examples/redis.yaml": ROOT}
    words = [str(files[word] / word) if word in files else word for word in words if word != "--watch"]
    dry = ["--dry-run=server"] if words[0] in WRITES else []
    done = cluster.kubectl(*words, *dry)
    assert done.stderr.replace(f"No resources found in {NAMESPACE} namespace.\n", "") == ""


def test_the_fragment_of_a_template_fits_below_the_spec(followed: tuple[HalfCluster, Path]) -> None:
    cluster, folder = followed
    [fragment] = [manifest for manifest in MANIFESTS if "kind" not in manifest]
    runner = json.loads((folder / "runner.yaml").read_text())
    runner["spec"] |= fragment
    arguments = ("apply", "--dry-run=server", f"--namespace={NAMESPACE}", "-o", "json", "-f", "-")
    applied = json.loads(cluster.kubectl(*arguments, input=json.dumps(runner)).stdout)
    assert applied["spec"]["template"] == fragment["template"]


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
