"""The version that tests of upgrades come from: its chart and its images, from the repository's history."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster import base_image
from tests.cluster.console import ClusterError
from tests.cluster.images import Image
from tests.cluster.locks import exclusive
from tests.cluster.paths import ROOT, cache

# The last release. Until there is one: the first commit that was whole, with another CRD, chart, operator and worker.
COMMIT = "c35712558c2f8a112c8e2b7bb3e5a354d5cd8fa8"


def checkout() -> Path:
    """The files of that version, outside of the repository; made once."""
    folder = cache() / "earlier" / COMMIT
    with exclusive(cache() / "earlier.lock", "getting an earlier version", timeout=300):
        if not folder.exists():
            for left in folder.parent.glob("partial-*"):
                shutil.rmtree(left)
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="partial-") as partial:
                archive = Path(partial) / "files.tar"
                if not _git("cat-file", "-e", f"{COMMIT}^{{commit}}", check=False):
                    _git("fetch", "--quiet", "--depth=1", "origin", COMMIT)  # a shallow clone
                _git("archive", f"--output={archive}", COMMIT)
                files = Path(partial) / "files"
                shutil.unpack_archive(archive, files, filter="data")
                files.rename(folder)
    return folder


def chart() -> str:
    """The folder of its chart."""
    return str(checkout() / "charts" / "pynenc-operator")


def images() -> tuple[Image, ...]:
    """Its images, each after the one that it builds on; their tag is `earlier`."""
    files = checkout()
    operator, worker, demo = (f"localhost/pynenc-{name}:earlier" for name in ("operator", "worker", "demo"))
    return (
        Image(operator, files / "operator" / "Dockerfile", files, base_image.NAME),
        Image(worker, files / "worker-image" / "Dockerfile", files, base_image.NAME),
        Image(demo, files / "examples" / "Dockerfile", files / "examples", worker),
    )


def _git(*arguments: str, check: bool = True) -> bool:
    done = subprocess.run(
        ("git", "-C", str(ROOT), *arguments),
        env=os.environ | {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if check and done.returncode:
        raise ClusterError(
            f"the version that upgrades are tested from is not to be had: git {arguments[0]}: {done.stderr.strip()}\n"
            "It comes from the repository's history: a clone, not an archive of one commit, has it."
        )
    return done.returncode == 0
