"""Calls of buildah, Debian's image builder that needs no engine."""

import subprocess

from tests.cluster.console import ClusterError

IMAGE_STORE_TIMEOUT = 600.0


def buildah(*arguments: str, timeout: float = 60) -> str:
    """Run buildah and return what it prints."""
    try:
        done = subprocess.run(
            ["buildah", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise ClusterError("there is no `buildah`: install the packages of tests/cluster/debian-packages.txt") from None
    except subprocess.TimeoutExpired:
        raise ClusterError(
            f"`buildah {arguments[0]}` did not end in {timeout:.0f} s: is the machine out of memory or disk?"
        ) from None
    if done.returncode:
        raise ClusterError(f"`buildah {arguments[0]} ... {arguments[-1]}` failed: {done.stderr.strip()}")
    return done.stdout


def image_id(name: str) -> str | None:
    """The id of a local image, or None if there is none of this name."""
    try:
        return buildah("inspect", "--type", "image", "--format", "{{.FromImageID}}", name).strip()
    except ClusterError as error:
        if "not known" in str(error) or "not found" in str(error):
            return None
        raise
