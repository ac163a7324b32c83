"""Kubeconfig files for the cluster's users."""

import base64
import json
from pathlib import Path
from typing import Any


def write(path: Path, *, server: str, authority: Path, user: dict[str, Any]) -> Path:
    """Write a kubeconfig with everything in it (JSON is YAML), readable by its owner only."""
    cluster = {"server": server, "certificate-authority-data": _data(authority)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "user"}}],
        "current-context": "local",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1))
    return path


def certificate_user(certificate: Path, key: Path) -> dict[str, str]:
    """The user entry of someone who shows a client certificate."""
    return {"client-certificate-data": _data(certificate), "client-key-data": _data(key)}


def _data(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
