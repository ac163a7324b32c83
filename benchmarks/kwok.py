"""Nodes that only seem to be: kwok says of each pod on them that it runs, and lets it go when it is deleted."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import setups
from benchmarks.modules import folder_of
from tests.cluster.paths import ClusterPaths
from tests.cluster.programs import ON_DEMAND, command
from tests.e2e.kubernetes import apply, get, is_true, kubectl, wait_until

type Json = dict[str, Any]

PROGRAM = ON_DEMAND["kwok"]
MARK = {"type": "kwok"}  # the label of the nodes
TAINT = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}
# As kwok has them; not the one that ends each Job's pod at once.
STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-delete.yaml",
)
POD_CIDR = "10.246.0.1/16"  # of the pods that only seem to be; nothing is sent there
# What a pod's spec needs to come onto such a node, and onto no other.
PLACED: Json = {"nodeSelector": MARK, "tolerations": [{"key": TAINT["key"], "operator": "Exists"}]}


@contextmanager
def nodes(count: int, pods: int) -> Iterator[None]:
    """So many nodes with room for so many pods each."""
    stages = folder_of(PROGRAM) / "kustomize" / "stage"
    paths = ClusterPaths.current()
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file, (paths.logs / "kwok.log").open("wb") as log:
        file.write("\n---\n".join((stages / stage).read_text() for stage in STAGES))
        file.flush()
        line = [
            *("setpriv", "--pdeathsig", "KILL", str(command("kwok")), "--config", file.name),
            *("--kubeconfig", str(paths.kubeconfig), "--manage-all-nodes=false", "--cidr", POD_CIDR),
            *("--manage-nodes-with-label-selector", "type=kwok", "--node-lease-duration-seconds", "40"),
        ]
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            for number in range(count):
                apply(_node(f"fake-{number}", pods))
            wait_until(
                lambda: _ready(process, paths.logs / "kwok.log") == count, f"{count} nodes of kwok are ready", 120
            )
            yield
        finally:
            kubectl("delete", "nodes", "-l", "type=kwok", "--ignore-not-found")
            process.terminate()
            process.wait(20)


def delete_pods(namespace: str, selector: str) -> None:
    """Delete many pods and wait until they are gone."""
    setups.delete_pods(namespace, selector)
    wait_until(lambda: not get("pods", "-n", namespace, "-l", selector)["items"], "kwok lets the pods go", 300)


def _ready(process: subprocess.Popen[bytes], log: Path) -> int:
    if process.poll() is not None:
        raise AssertionError(f"kwok has ended: {log.read_text()[-2000:]}")
    return sum(is_true(each, "Ready") for each in get("nodes", "-l", "type=kwok")["items"])


def _node(name: str, pods: int) -> Json:
    room = {"cpu": "1000", "memory": "4000Gi", "pods": str(pods)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**MARK, "kubernetes.io/hostname": name}},
        "spec": {"taints": [TAINT]},
        "status": {"allocatable": room, "capacity": room},
    }
