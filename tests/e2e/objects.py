"""Objects that others than the operator make in a pool's namespace."""

import json
from typing import Any

from tests.cluster.node import PAUSE_IMAGE
from tests.e2e.pool import Pool

type Json = dict[str, Any]

# What the restricted Pod Security level asks of a container.
RESTRICTED: Json = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65534,
    "seccompProfile": {"type": "RuntimeDefault"},
}
STRANGER: Json = {"name": "stranger", "image": PAUSE_IMAGE, "securityContext": RESTRICTED}


def create(pool: Pool, kind: str, name: str, version: str = "v1", marks: Json | None = None, **rest: object) -> None:
    """Apply an object; `marks` are its labels."""
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": marks or {}}, **rest}
    pool.kubectl("apply", "-f", "-", input=json.dumps(body))
