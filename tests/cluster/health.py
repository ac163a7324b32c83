"""What is wrong with a cluster, if anything."""

import json
import subprocess

from tests.cluster import membership
from tests.cluster.components import log_of, names
from tests.cluster.control_plane import API_SERVICE_IP
from tests.cluster.node import DOMAIN, nodes_of
from tests.cluster.paths import ClusterPaths

_TIMEOUT = 10.0


def component_states(paths: ClusterPaths) -> dict[str, str]:
    """What each component is doing, as process 1 last wrote it."""
    try:
        states: dict[str, str] = json.loads(paths.components.read_text())
    except (FileNotFoundError, ValueError):
        return dict.fromkeys(names(paths), "not started")
    return states


def crashes(paths: ClusterPaths) -> list[str]:
    """Components that have ended, with the end of their logs: these don't get better by waiting."""
    found = []
    if membership.init_pid(paths) is None:
        found.append(f"the cluster's process 1 ended:\n{_tail(paths, 'init')}")
    for name, state in component_states(paths).items():
        if state not in ("running", "not started"):
            found.append(f"{name} {state}:\n{_tail(paths, name)}")
    return found


def problems(paths: ClusterPaths) -> list[str]:
    """Why the cluster is not usable: a line for each reason, none when it is."""
    if membership.init_pid(paths) is None:
        return ["it is not running"]
    found = [f"{name} {state}" for name, state in component_states(paths).items() if state != "running"]
    if found:
        return found
    ready = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    for name in [node.name for node in nodes_of(paths)]:
        node = run(paths, ["kubectl", "get", "node", name, "-o", ready])
        if node.returncode or node.stdout != "True":
            found.append(f"node {name} is not Ready: {node.stderr.strip() or node.stdout or 'no status yet'}")
    if found:
        return found
    account = run(paths, ["kubectl", "get", "serviceaccount", "default", "-o", "name"])
    if account.returncode:
        return [f"the namespace default has no ServiceAccount yet: {account.stderr.strip()}"]
    name = f"kubernetes.default.svc.{DOMAIN}"
    resolved = run(paths, ["getent", "hosts", name])
    if API_SERVICE_IP not in resolved.stdout:
        return [f"the cluster's DNS does not resolve {name}"]
    return []


def run(paths: ClusterPaths, line: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a client inside the cluster's network; a hanging one is a failed one."""
    command = membership.inside(paths, line)
    try:
        return subprocess.run(
            command,
            env=membership.environment(paths),
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer in {_TIMEOUT:.0f} s")


def _tail(paths: ClusterPaths, name: str) -> str:
    log = log_of(paths, name)
    return "\n".join(log.read_text(errors="replace").splitlines()[-12:]) if log.exists() else f"(no {log})"
