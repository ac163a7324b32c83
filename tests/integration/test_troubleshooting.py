"""The commands of the pages for trouble, where what they look at is there: each is taken, and shows something."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pynenc_operator.podspec import build_worker_pod
from pynenc_worker import contract
from tests import documents
from tests.cluster.half_cluster import HalfCluster
from tests.cluster.paths import ROOT
from tests.cluster.programs import command

PAGE = "".join((ROOT / "docs" / f"{page}.md").read_text() for page in ("troubleshooting", "operations"))
OPERATOR_NAMESPACE, NAMESPACE = "pynenc-system", "troubled"
BLOCKS = documents.blocks(PAGE, "sh")
LINES = [*(line for block in BLOCKS for line in block.splitlines()), *re.findall(r"`(kubectl patch [^`]+)`", PAGE)]
# A kubelet has to answer those; they are there for a whole cluster.
ON_A_NODE = ("logs", "exec")
WRITES = ("patch", "delete", "create")
COMMANDS = sorted({line for line in LINES if line.startswith("kubectl ") and line.split()[1] not in ON_A_NODE})


@pytest.fixture(scope="module")
def troubled(crd_installed: HalfCluster) -> HalfCluster:
    """A release, its Lease, a runner with a Secret, an event and a pod."""
    cluster = crd_installed
    mend = re.findall(r"`kubectl (apply --server-side --force-conflicts -f )(crds/[^`]+)`", PAGE)[0]
    cluster.kubectl(*mend[0].split(), str(ROOT / mend[1]))
    cluster.create_namespace(NAMESPACE)
    cluster.ensure_namespace(OPERATOR_NAMESPACE)
    chart = [str(ROOT / "charts" / "pynenc-operator"), f"--namespace={OPERATOR_NAMESPACE}", "--set=crds.enabled=false"]
    rendered = subprocess.run(
        [str(command("helm")), "template", "pynenc-operator", *chart, "--show-only=templates/deployment.yaml"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    cluster.kubectl("apply", "-f", "-", input=rendered.stdout)
    in_namespace = f"--namespace={NAMESPACE}"
    runner = cluster.kubectl("create", in_namespace, "-o", "json", "-f", str(ROOT / "examples" / "runner.yaml"))
    made = json.loads(runner.stdout)
    condition = {"type": "Ready", "status": "True", "reason": "AtZero", "message": "no pod is needed"}
    counts = dict.fromkeys(("queueDepth", "activeReplicas", "desiredReplicas"), 0)
    status = {"status": {"conditions": [{**condition, "lastTransitionTime": "2026-01-01T00:00:00Z"}], **counts}}
    merge = ("--subresource=status", "--type=merge", "-p", json.dumps(status))
    cluster.kubectl("patch", "mtr", "reports", in_namespace, *merge)
    cluster.kubectl("create", "serviceaccount", "pynenc-worker", in_namespace)
    pod = build_worker_pod(made, "reports-0")
    pod["metadata"]["annotations"] = {contract.WORKER_STATE: "draining", contract.ACTIVE_INVOCATIONS: "1"}
    cluster.kubectl("create", in_namespace, "-f", "-", input=json.dumps(pod))
    cluster.kubectl(
        "create", "secret", "generic", "reports-redis", in_namespace, "--from-literal=url=redis://u:hidden@h"
    )
    for manifest in (_lease(), _event(made["metadata"]["uid"])):
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(manifest))
    return cluster


def _lease() -> dict[str, object]:
    spec = {"holderIdentity": "somebody", "renewTime": "2026-01-01T00:00:00.000000Z", "leaseDurationSeconds": 8}
    metadata = {"name": "pynenc-operator", "namespace": OPERATOR_NAMESPACE}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _event(uid: str) -> dict[str, object]:
    named = {"name": "reports", "namespace": NAMESPACE, "uid": uid}
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "reports-1", "namespace": NAMESPACE},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "pynenc.org/operator",
        "reportingInstance": "somebody",
        "type": "Normal",
        "reason": "QueueDepth",
        "action": "Create",
        "note": "created reports-0 (1 queued)",
        "regarding": {"apiVersion": "pynenc.org/v1alpha1", "kind": "MultiThreadRunner", **named},
    }


@pytest.mark.parametrize("line", COMMANDS)
def test_it_is_taken_and_shows_something(troubled: HalfCluster, tmp_path: Path, line: str) -> None:
    assert shlex.split(line)[0] == "kubectl"
    last = line.rpartition("| kubectl ")[2].removeprefix("kubectl ")  # what a pipeline ends with
    (tmp_path / "ca.crt").write_text("an authority's certificate")
    line = line.replace("=ca.crt", f"={tmp_path / 'ca.crt'}").replace("--namespace reports", f"--namespace {NAMESPACE}")
    dry = " --dry-run=server" if last.split()[0] in WRITES else ""
    access = json.loads(troubled.kubeconfig.read_text())
    access["contexts"][0]["context"]["namespace"] = NAMESPACE
    (tmp_path / "kubeconfig").write_text(json.dumps(access))
    path = (command("kubectl").parent, Path(sys.executable).parent, os.environ["PATH"])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line + dry],
        cwd=ROOT,
        env=os.environ | {"KUBECONFIG": str(tmp_path / "kubeconfig"), "PATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if line.startswith("kubectl diff"):
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "")  # the definition is this version's
        return
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.strip()) > 3
    assert "hidden" not in done.stdout
