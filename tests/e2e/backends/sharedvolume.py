"""One folder of the node as the volume of operator, workers and producers, as docs/quickstart.md has users make it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.paths import ClusterPaths
from tests.e2e.kubernetes import apply, kubectl

type Json = dict[str, Any]

CLAIM = "pynenc-sqlite"
USER = 65532  # of operator and workers


def root() -> Path:
    """The folder, with one in it for each namespace of runners."""
    folder = ClusterPaths.current().state / "sqlite"
    folder.mkdir(mode=0o755, exist_ok=True)
    return folder


@contextmanager
def claimed(namespace: str) -> Iterator[Path]:
    """A claim of a namespace, and the namespace's own folder."""
    folder = root() / namespace
    folder.mkdir(exist_ok=True)
    os.chown(folder, USER, USER)
    name = f"{CLAIM}-{namespace}"
    _delete(name, namespace)  # of a run that was interrupted: it knows its claim by a uid
    for each in _volume(name, namespace):
        apply(each, namespace)
    try:
        yield folder
    finally:
        _delete(name, namespace)


def _delete(name: str, namespace: str) -> None:
    kubectl("delete", "pvc", CLAIM, "-n", namespace, "--ignore-not-found", "--timeout=60s")
    kubectl("delete", "pv", name, "--ignore-not-found", "--timeout=60s")


def _volume(name: str, namespace: str) -> tuple[Json, Json]:
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            **common,
            "capacity": {"storage": "1Gi"},
            "claimRef": {"namespace": namespace, "name": CLAIM},
            "hostPath": {"path": str(root()), "type": "Directory"},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM},
        "spec": {**common, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}},
    }
    return volume, claim
