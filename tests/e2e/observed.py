"""What anybody may see of a pool and of the operator, and whether a secret is among it.

Each pool is looked at when it closes; test_whole_run.py reads what came of all of them.
"""

import base64
import contextlib
import http.client
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.cluster.paths import ClusterPaths
from tests.e2e.kubernetes import read, told
from tests.e2e.release import OPERATOR
from tests.secrecy import passwords, seen

type Json = dict[str, Any]

TOKEN_BEGINS = "eyJhbGciOi"  # each token of a ServiceAccount
CORE = ("pods", "serviceaccounts", "services")
GROUPS = ("events.k8s.io/v1", "pynenc.org/v1alpha1", "rbac.authorization.k8s.io/v1")
LISTS = dict(zip(GROUPS, ("events", "multithreadrunners", "rolebindings"), strict=True))
AT_MOST = "--request-timeout=10s"  # a node may be away
METRICS_PORT, OPERATORS_PORT = 9808, 8080


def begin() -> None:
    """Forget what an earlier run has left."""
    _file().unlink(missing_ok=True)


def keep(namespace: str, began: float) -> None:
    """Search what can be seen of a namespace, and of the operator since then (Unix seconds); note the finds."""
    secrets = secrets_of(namespace)
    texts = texts_of(namespace) | operators(began)
    line = {"namespace": namespace, "secrets": len(secrets), "found": seen({*secrets, TOKEN_BEGINS}, texts)}
    with _file().open("a") as lines:
        lines.write(json.dumps(line) + "\n")


def kept() -> list[Json]:
    """What was noted of each pool of the run."""
    return [json.loads(line) for line in _file().read_text().splitlines()]


def secrets_of(namespace: str) -> set[str]:
    """What of a namespace's Secrets has to stay unseen."""
    values = [
        base64.b64decode(value).decode(errors="replace")
        for secret in read(f"/api/v1/namespaces/{namespace}/secrets")["items"]
        for value in secret.get("data", {}).values()
    ]
    return {password for value in values for password in passwords(value)}


def texts_of(namespace: str) -> dict[str, str]:
    """Objects with their status, events, and the logs and metrics of the pods."""
    paths = {kind: f"/api/v1/namespaces/{namespace}/{kind}" for kind in CORE}
    paths |= {kind: f"/apis/{group}/namespaces/{namespace}/{kind}" for group, kind in LISTS.items()}
    objects = {kind: read(path) for kind, path in paths.items()}
    texts = {kind: json.dumps(found, ensure_ascii=False) for kind, found in objects.items()}
    for pod in objects["pods"]["items"]:
        name = pod["metadata"]["name"]
        texts[f"log of {name}"] = told("kubectl", "logs", name, "--all-containers", "-n", namespace, AT_MOST)
        if pod["status"].get("phase") == "Running":
            texts[f"metrics of {name}"] = page(pod["status"].get("podIP", ""), METRICS_PORT)
    return {f"{namespace}: {what}": text for what, text in texts.items()}


def operators(began: float) -> dict[str, str]:
    """The log since then and the metrics of each of the operator's pods, and the Lease."""
    here = ("-n", OPERATOR.namespace)
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began))
    texts = {"Lease": told("kubectl", "get", "leases", "-o", "json", *here, AT_MOST)}
    for pod in OPERATOR.pods().values():
        name = pod["metadata"]["name"]
        texts[f"log of {name}"] = told("kubectl", "logs", name, f"--since-time={since}", *here, AT_MOST)
        texts[f"metrics of {name}"] = page(pod["status"].get("podIP", ""), OPERATORS_PORT)
    return texts


def page(address: str, port: int) -> str:
    """/metrics of a pod; nothing where nobody answers."""
    with (
        contextlib.suppress(OSError, http.client.HTTPException),
        urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=3) as answer,
    ):
        return str(answer.read().decode())
    return ""


def _file() -> Path:
    return ClusterPaths.current().state / "observed.jsonl"
