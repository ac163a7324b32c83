"""The half-cluster itself: what the other integration tests stand on."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.half_cluster import HalfCluster
from tests.cluster.paths import ROOT

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "worker"},
    "spec": {"containers": [{"name": "worker", "image": "localhost/none:1"}]},
}


@pytest.fixture(scope="module")
def half() -> Iterator[HalfCluster]:
    with HalfCluster() as cluster:
        yield cluster


def get(half: HalfCluster, path: str, token: str) -> dict[str, Any]:
    context = ssl.create_default_context(cafile=str(half.ca_file))
    request = urllib.request.Request(f"{half.server}{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        body: dict[str, Any] = json.load(answer)
    return body


def test_its_versions_are_stamped_and_its_certificates_pass_python_verification(half: HalfCluster) -> None:
    assert get(half, "/version", half.admin_token)["gitVersion"].startswith("v1.36.")
    assert json.loads(half.kubectl("version", "-o", "json").stdout)["clientVersion"]["gitVersion"].startswith("v1.36.")


def test_a_token_is_bound_to_the_pod_that_it_was_made_for(half: HalfCluster) -> None:
    half.create_namespace("bound")
    half.kubectl("apply", "-n", "bound", "-f", "-", input=json.dumps(POD))
    token = half.create_token("bound", "default", pod="worker")
    answer = half.kubectl("auth", "whoami", "-o", "json", f"--token={token}", f"--server={half.server}")
    user = json.loads(answer.stdout)["status"]["userInfo"]
    assert user["username"] == "system:serviceaccount:bound:default"
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["worker"]
    assert len(user["extra"]["authentication.kubernetes.io/pod-uid"]) == 1


def test_admission_refuses_what_pod_security_forbids(half: HalfCluster) -> None:
    half.create_namespace("restricted", labels={"pod-security.kubernetes.io/enforce": "restricted"})
    refused = half.kubectl("apply", "-n", "restricted", "-f", "-", input=json.dumps(POD), check=False)
    assert refused.returncode != 0
    assert "violates PodSecurity" in refused.stderr


def test_the_audit_log_has_every_request_once_by_user_when_it_is_answered(half: HalfCluster) -> None:
    half.create_namespace("audited")
    half.kubectl("create", "configmap", "marker", "-n", "audited")
    entries = [json.loads(line) for line in half.audit_log.read_text().splitlines()]
    marked = [e for e in entries if e.get("objectRef", {}).get("name") == "marker" and e["verb"] == "create"]
    assert [(e["user"]["username"], e["stage"], e["responseStatus"]["code"]) for e in marked] == [
        ("admin", "ResponseComplete", 201)
    ]


def test_it_ends_with_its_process_even_when_that_is_killed() -> None:
    script = (
        "import time; from tests.cluster.half_cluster import HalfCluster\n"
        "with HalfCluster() as half:\n"
        "    print(*(p.pid for p in half._processes), flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        servers = [int(pid) for pid in process.stdout.readline().split()]
        assert len(servers) == 2
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in servers):
        assert time.monotonic() < deadline, f"{servers} outlived the process that started them"
        time.sleep(0.05)
