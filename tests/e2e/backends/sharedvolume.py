"""One folder of the node as the volume of operator, workers and producers, as the demo on SQLite has it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.demo.sharedfolder import USER, SharedFolder, choose_node, volume_name
from tests.cluster.paths import ClusterPaths
from tests.e2e.kubernetes import apply, get, kubectl

CLAIM = "pynenc-sqlite"


@contextmanager
def claimed(namespace: str) -> Iterator[Path]:
    """A claim of a namespace, and the namespace's own folder."""
    root = ClusterPaths.current().state / "sqlite"
    folder = root / namespace
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    os.chown(folder, USER, USER)
    node = choose_node(get("nodes")["items"])
    assert node, "no node takes pods"
    shared = SharedFolder(CLAIM, str(root), node, get("namespace", namespace))
    _delete(namespace, "--timeout=60s")  # of a run that was interrupted: it knows its claim by a uid
    for each in shared.volume(namespace):
        apply(each, namespace)
    try:
        yield folder
    finally:
        _delete(namespace, "--wait=false")  # they go with the pods that use them


def _delete(namespace: str, wait: str) -> None:
    kubectl("delete", "pvc", CLAIM, "-n", namespace, "--ignore-not-found", wait)
    kubectl("delete", "pv", volume_name(CLAIM, namespace), "--ignore-not-found", wait)
