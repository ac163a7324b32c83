"""Killing a component of a running cluster, and starting it again, or a further node whole: for tests of faults."""

import os
import signal
import time
from pathlib import Path

from tests.cluster import components, health
from tests.cluster.console import ClusterError
from tests.cluster.node import Node
from tests.cluster.paths import ClusterPaths

API_SERVER = "kube-apiserver"
_WITHIN = 60.0
_USABLE_WITHIN = 180.0  # the node's status is judged every few seconds, and by what was heard before


def kill(paths: ClusterPaths, name: str) -> None:
    """Kill a component with SIGKILL, and wait until the cluster has taken note of it."""
    line = next(each.command for each in components.every(paths) if each.name == name)
    found = [int(process.name) for process in Path("/proc").glob("[0-9]*") if _command(process) == line]
    if len(found) != 1:
        raise ClusterError(f"{name} of cluster {paths.name} is not one process: {found}")
    os.kill(found[0], signal.SIGKILL)
    _until(paths, name, running=False)


def start(paths: ClusterPaths, *names: str) -> None:
    """Start components that have ended; returns when the cluster is usable again, its nodes Ready."""
    want_back(paths, *names)
    for name in names:
        _until(paths, name, running=True)
    deadline = time.monotonic() + _USABLE_WITHIN
    while found := health.problems(paths):
        if time.monotonic() > deadline:
            raise ClusterError(f"cluster {paths.name} after the return of {', '.join(names)}: {'; '.join(found)}")
        time.sleep(0.5)


def want_back(paths: ClusterPaths, *names: str) -> None:
    """Have components that have ended started again; does not wait for it."""
    for name in names:
        paths.wanted_back.mkdir(exist_ok=True)
        (paths.wanted_back / name).touch()


def cut_power(paths: ClusterPaths, node: Node) -> None:
    """End a further node at once: kubelet, containerd and all containers go with its process 1, unsaid."""
    kill(paths, node.name)
    for name in components.of_machine(node):
        _until(paths, name, running=False)


def restore_power(paths: ClusterPaths, node: Node) -> None:
    """Let a further node come back, with what it had on its disk; returns when it is Ready."""
    start(paths, *components.of_machine(node))


def _command(process: Path) -> list[str]:
    try:
        return (process / "cmdline").read_text().split("\0")[:-1]
    except OSError:  # it has just ended
        return []


def _until(paths: ClusterPaths, name: str, *, running: bool) -> None:
    deadline = time.monotonic() + _WITHIN
    while (health.component_states(paths)[name] == "running") != running:
        if time.monotonic() > deadline:
            raise ClusterError(f"{name} of cluster {paths.name}: {health.component_states(paths)[name]}")
        time.sleep(0.1)
