"""The local cluster tool, on a cluster of its own: it comes up, works like a real one, and goes without a trace."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import cgroups, images, membership
from tests.cluster.paths import ROOT, ClusterPaths
from tests.cluster.programs import PROGRAMS

PATHS = ClusterPaths("pynenc-tool-test")
TOOL = [sys.executable, "-m", "tests.cluster"]
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def tool(*arguments: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:  # noqa: A002
    done = subprocess.run(
        [*TOOL, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYNENC_CLUSTER": PATHS.name},
        input=input,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


@pytest.fixture(scope="module", autouse=True)
def _clean() -> Iterator[None]:
    tool("down")
    yield
    tool("down")


@pytest.fixture
def up() -> None:
    tool("up")


def pod(name: str, *command: str) -> str:
    container = {"name": name, "image": images.REDIS.name, "securityContext": RESTRICTED}
    if command:
        container["command"] = list(command)
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }
    return json.dumps(manifest)


def namespaces_of(pid: int) -> set[str]:
    return {str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in ("pid", "net", "mnt")}


def processes_in(namespaces: set[str]) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if namespaces & namespaces_of(int(process.name)):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # gone, or not for us to see
            continue
    return found


def until(met: list[str], *arguments: str, timeout: float = 60) -> str:
    """Repeat a command of the tool until its output has all of `met`; a pod takes a moment to say something."""
    deadline = time.monotonic() + timeout
    while True:
        done = tool(*arguments, check=False)
        if all(text in done.stdout for text in met):
            return done.stdout
        assert time.monotonic() < deadline, done.stdout + done.stderr
        time.sleep(0.3)


def test_up_takes_under_thirty_seconds_and_is_idempotent() -> None:
    tool("programs")
    started = time.monotonic()
    tool("up")
    assert time.monotonic() - started < 30
    pid = membership.init_pid(PATHS)
    assert "up already" in tool("up").stderr
    assert membership.init_pid(PATHS) == pid
    assert tool("status").stdout.startswith(f"cluster {PATHS.name}: up")
    version = json.loads(tool("kubectl", "version", "-o", "json").stdout)
    assert {version[side]["gitVersion"] for side in ("clientVersion", "serverVersion")} == {
        f"v{PROGRAMS['kubernetes'].version}"
    }
    assert tool("helm", "version", "--template", "{{.Version}}").stdout == f"v{PROGRAMS['helm'].version}"


@pytest.mark.usefixtures("up")
def test_a_pod_runs_logs_and_finds_a_service_by_its_bare_name() -> None:
    images.load(PATHS, images.build([images.REDIS]))
    tool("kubectl", "create", "namespace", "store")
    tool("kubectl", "label", "namespace", "store", "pod-security.kubernetes.io/enforce=restricted")
    in_store = ("kubectl", "-n", "store")
    tool(*in_store, "apply", "-f", "-", input=pod("redis"))
    tool(*in_store, "expose", "pod", "redis", "--port", "6379")
    tool(*in_store, "wait", "--for=condition=Ready", "pod/redis", "--timeout=60s")
    ask = "until redis-cli -h redis ping; do sleep 0.2; done; exec sleep 600"
    tool(*in_store, "apply", "-f", "-", input=pod("client", "sh", "-c", ask))
    until(["PONG"], *in_store, "logs", "client")
    assert "PONG" in tool(*in_store, "exec", "client", "--", "redis-cli", "-h", "redis.store.svc", "ping").stdout
    assert "PONG" in tool("exec", "--", "redis-cli", "-h", "redis.store.svc", "ping").stdout  # from beside the pods
    assert tool("exec", "--", "getent", "hosts", "example.com", check=False).returncode != 0  # and nothing beyond


@pytest.mark.usefixtures("up")
def test_the_audit_log_counts_requests_by_user() -> None:
    tool("kubectl", "create", "serviceaccount", "counted")
    for _ in range(3):
        tool("kubectl", "get", "pods", "--as=system:serviceaccount:default:counted", check=False)
    entries = [json.loads(line) for line in PATHS.audit_log.read_text().splitlines()]
    counted = [e for e in entries if e.get("impersonatedUser", {}).get("username", "").endswith(":counted")]
    lists = [e["responseStatus"]["code"] for e in counted if e.get("objectRef", {}).get("resource") == "pods"]
    assert lists == [403, 403, 403]


@pytest.mark.usefixtures("up")
def test_a_crashed_component_is_named_and_the_next_up_mends_it() -> None:
    before = membership.required_pid(PATHS)
    victim = next(pid for pid in children_of(before) if "kube-scheduler" in command_of(pid))
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while "kube-scheduler killed by SIGKILL" not in (status := tool("status", check=False)).stdout:
        assert time.monotonic() < deadline, status.stdout
        time.sleep(0.2)
    assert status.returncode == 1
    assert "starting it anew" in tool("up").stderr
    assert membership.required_pid(PATHS) != before
    assert tool("status").returncode == 0


def test_what_a_killed_up_leaves_does_not_break_the_next() -> None:
    for moment in (0.5, 3):
        tool("down")
        with subprocess.Popen(
            [*TOOL, "up"], cwd=ROOT, env=os.environ | {"PYNENC_CLUSTER": PATHS.name}, stderr=subprocess.DEVNULL
        ) as killed:
            time.sleep(moment)
            killed.kill()
    tool("up")
    assert tool("status").returncode == 0


def test_two_at_once_start_one_cluster() -> None:
    tool("down")
    command = [*TOOL, "up"]
    environment = os.environ | {"PYNENC_CLUSTER": PATHS.name}
    with (
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as one,
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as other,
    ):
        said = [process.communicate(timeout=120)[1] for process in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0)
    assert sum("up already" in text for text in said) == 1, said


@pytest.mark.usefixtures("up")
def test_down_leaves_no_process_mount_namespace_or_file() -> None:
    namespaces = namespaces_of(membership.required_pid(PATHS))
    assert any("kubelet" in line for line in processes_in(namespaces))
    tool("down")
    assert processes_in(namespaces) == []
    assert PATHS.name not in Path("/proc/self/mounts").read_text()
    assert list(Path("/sys/fs/cgroup").glob(f"**{cgroups.root_of(PATHS.name)}")) == []
    assert not PATHS.state.exists()
    assert "was not there" in tool("down").stderr


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
