"""The version that tests of upgrades come from: its chart and its images, from the repository's history."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster import base_image
from tests.cluster.console import ClusterError
from tests.cluster.images import Image
from tests.cluster.paths import ROOT, cache

# The last release. Until there is one: the first commit that was whole, with another CRD, chart, operator and worker.
COMMIT = "c35712558c2f8a112c8e2b7bb3e5a354d5cd8fa8"


def checkout() -> Path:
    """The files of that version, outside of the repository; made once."""
    folder = cache() / "earlier" / COMMIT
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="partial-") as partial:
            archive = Path(partial) / "files.tar"
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


def _git(*arguments: str) -> None:
    done = subprocess.run(
        ("git", "-C", str(ROOT), *arguments),
        env=os.environ | {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise ClusterError(
            f"the version that upgrades are tested from is not to be had: git {arguments[0]}: {done.stderr.strip()}\n"
            "In a shallow clone `git fetch --unshallow` gets it."
        )
