"""The images in a running cluster's nodes, through containerd's own client."""

import re
import subprocess
from pathlib import Path

from tests.cluster import membership
from tests.cluster.console import ClusterError, say
from tests.cluster.node import Node, nodes_of
from tests.cluster.paths import ClusterPaths
from tests.cluster.programs import command

_TIMEOUT = 300.0


def load_archives(paths: ClusterPaths, archives: list[Path]) -> None:
    """Import OCI archives (`buildah push IMAGE oci-archive:FILE:IMAGE`) into every node."""
    for archive in archives:
        if not archive.exists():
            raise ClusterError(f"there is no file {archive}")
        say(f"loading {archive.name} into cluster {paths.name}")
        ctr(paths, "images", "import", str(archive.absolute()))


def load_layout(paths: ClusterPaths, node: Node, folder: Path) -> None:
    """Import an OCI layout in a folder, with all its images, into one node."""
    with (
        subprocess.Popen(["tar", "-C", str(folder), "-cf", "-", "."], stdout=subprocess.PIPE) as packing,
        subprocess.Popen(
            _line(paths, node, "images", "import", "-"),
            stdin=packing.stdout,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as importing,
    ):
        assert packing.stdout
        packing.stdout.close()  # only the importer holds it now, so that tar ends when the importer does
        try:
            _, errors = importing.communicate(timeout=_TIMEOUT)
        except BaseException:
            importing.kill()
            packing.kill()
            raise
    if importing.returncode or packing.returncode:
        raise ClusterError(f"{_containerd(paths, node)} refused the images: {errors.decode().strip()}")


def labelled(paths: ClusterPaths, node: Node, label: str) -> dict[str, str]:
    """The value of this label on each image of a node that has it."""
    found = {}
    for line in _ctr(paths, node, "images", "ls").splitlines()[1:]:
        value = re.search(rf"{re.escape(label)}=([^,\s]+)", line)
        if value:
            found[line.split()[0]] = value[1]
    return found


def set_label(paths: ClusterPaths, node: Node, image: str, label: str, value: str) -> None:
    """Put a label on an image of a node."""
    _ctr(paths, node, "images", "label", image, f"{label}={value}")


def ctr(paths: ClusterPaths, *arguments: str) -> None:
    """Run containerd's client on every node."""
    for node in nodes_of(paths):
        _ctr(paths, node, *arguments)


def _ctr(paths: ClusterPaths, node: Node, *arguments: str) -> str:
    """What containerd's client prints on one node."""
    line = _line(paths, node, *arguments)
    try:
        done = subprocess.run(line, check=True, capture_output=True, text=True, timeout=_TIMEOUT)
    except subprocess.CalledProcessError as error:
        raise ClusterError(
            f"{_containerd(paths, node)} refused `{' '.join(arguments)}`: {error.stderr.strip()}"
        ) from error
    return done.stdout


def _containerd(paths: ClusterPaths, node: Node) -> str:
    return f"containerd of {node.name} of cluster {paths.name}"


def _line(paths: ClusterPaths, node: Node, *arguments: str) -> list[str]:
    # Its socket is in the cluster's mount namespace; this is the way there from outside.
    socket = f"/proc/{membership.required_pid(paths)}/root{node.socket}"
    return [str(command("ctr")), "--address", socket, "--namespace", "k8s.io", *arguments]
