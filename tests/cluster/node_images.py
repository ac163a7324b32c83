"""The images in a running cluster's node, through containerd's own client."""

import re
import subprocess
from pathlib import Path

from tests.cluster import membership
from tests.cluster.console import ClusterError, say
from tests.cluster.node import CONTAINERD_SOCKET
from tests.cluster.paths import ClusterPaths
from tests.cluster.programs import command

_TIMEOUT = 300.0


def load_archives(paths: ClusterPaths, archives: list[Path]) -> None:
    """Import OCI archives (`buildah push IMAGE oci-archive:FILE:IMAGE`)."""
    for archive in archives:
        if not archive.exists():
            raise ClusterError(f"there is no file {archive}")
        say(f"loading {archive.name} into cluster {paths.name}")
        ctr(paths, "images", "import", str(archive.absolute()))


def load_layout(paths: ClusterPaths, folder: Path) -> None:
    """Import an OCI layout in a folder, with all its images."""
    with (
        subprocess.Popen(["tar", "-C", str(folder), "-cf", "-", "."], stdout=subprocess.PIPE) as packing,
        subprocess.Popen(
            _line(paths, "images", "import", "-"),
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
        raise ClusterError(f"containerd of cluster {paths.name} refused the images: {errors.decode().strip()}")


def labelled(paths: ClusterPaths, label: str) -> dict[str, str]:
    """The value of this label on each image that has it."""
    found = {}
    for line in ctr(paths, "images", "ls").splitlines()[1:]:
        value = re.search(rf"{re.escape(label)}=([^,\s]+)", line)
        if value:
            found[line.split()[0]] = value[1]
    return found


def set_label(paths: ClusterPaths, image: str, label: str, value: str) -> None:
    """Put a label on an image."""
    ctr(paths, "images", "label", image, f"{label}={value}")


def ctr(paths: ClusterPaths, *arguments: str) -> str:
    """Run containerd's client and return what it prints."""
    try:
        done = subprocess.run(_line(paths, *arguments), check=True, capture_output=True, text=True, timeout=_TIMEOUT)
    except subprocess.CalledProcessError as error:
        raise ClusterError(
            f"containerd of cluster {paths.name} refused `{' '.join(arguments)}`: {error.stderr.strip()}"
        ) from error
    return done.stdout


def _line(paths: ClusterPaths, *arguments: str) -> list[str]:
    # Its socket is in the cluster's mount namespace; this is the way there from outside.
    socket = f"/proc/{membership.required_pid(paths)}/root{CONTAINERD_SOCKET}"
    return [str(command("ctr")), "--address", socket, "--namespace", "k8s.io", *arguments]
