"""Calls of buildah, Debian's image builder that needs no engine, on an image store of the project's own.

Each runs in mount and PID namespaces of its own, so that a killed build leaves neither mounts nor processes. What else
it leaves, its working containers, is in our store, where nobody else's can be hit when they are removed.
"""

import subprocess

from tests.cluster.console import ClusterError
from tests.cluster.paths import cache

IMAGE_STORE_TIMEOUT = 600.0
_CACHED_LAYERS = 100  # images without a name that are kept to build the next one faster


def line(*arguments: str) -> list[str]:
    """The command line of a call."""
    store = cache() / "images" / "store"
    return [
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *("buildah", "--root", str(store), "--runroot", str(store / "run"), *arguments),
    ]


def call(*arguments: str, timeout: float = 60) -> str:
    """Run buildah and return what it prints."""
    try:
        done = subprocess.run(
            line(*arguments), capture_output=True, text=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(
            f"`buildah {arguments[0]}` did not end in {timeout:.0f} s: is the disk full, or the machine out of memory?"
        ) from None
    if done.returncode:
        raise ClusterError(
            f"`buildah {arguments[0]} ... {arguments[-1]}` failed: {done.stderr.strip()}"
            if "failed to execute buildah" not in done.stderr
            else "there is no `buildah`: `make machine` gets what the cluster needs"
        )
    return done.stdout


def image_id(name: str) -> str | None:
    """The id of a local image, or None if there is none of this name."""
    listed = call("images", "--no-trunc", "--format", "{{.Name}}:{{.Tag}} {{.ID}}")
    found = dict(entry.split() for entry in listed.splitlines())
    number = found.get(name)
    return number.removeprefix("sha256:") if number else None


def tidy() -> None:
    """Remove what killed builds have left, and layers of old builds once there are many; nobody may be building."""
    call("rm", "--all")
    unnamed = call("images", "--quiet", "--filter", "dangling=true").split()
    if len(unnamed) > _CACHED_LAYERS:
        call("rmi", "--prune", timeout=IMAGE_STORE_TIMEOUT)
