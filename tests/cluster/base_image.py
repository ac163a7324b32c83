"""The base image: Debian with Python, made by debootstrap since no image can be pulled."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster import long_command
from tests.cluster.buildah import IMAGE_STORE_TIMEOUT, call, image_id
from tests.cluster.console import ClusterError, Progress
from tests.cluster.paths import cache

SUITE = "trixie"
PACKAGES = ("ca-certificates", "python3", "python3-venv")
NAME = f"localhost/python-base:{SUITE}"
# What an image has no use for; a new list makes a new image.
UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/cache/apt", "var/log")
_BOOTSTRAP_TIMEOUT = 1800.0


def ensure() -> None:
    """Make the base image unless it is there; its file system stays in the cache, so that it is made once."""
    digest = hashlib.sha256("\0".join([SUITE, *PACKAGES, *UNUSED]).encode()).hexdigest()[:12]
    archive = cache() / "images" / f"{SUITE}-{digest}.tar"
    tag = f"localhost/python-base:{digest}"
    if image_id(tag) is None:
        if not archive.exists():
            _bootstrap(archive)
        _import(archive, tag)
    call("tag", tag, NAME)


def _bootstrap(archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    for leftover in archive.parent.glob("partial-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    progress = Progress(f"base image from Debian {SUITE}")
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=archive.parent))
    try:
        root = partial / "root"
        line = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root)]
        # In mount and PID namespaces of its own: what a killed one has mounted or started goes with it.
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        done = long_command.run([*unshare, *line], progress, _last_line, timeout=_BOOTSTRAP_TIMEOUT)
        if done.code:
            raise ClusterError(
                f"debootstrap of {SUITE} failed ({_last_line([*done.output, *done.errors])}): "
                "is the Debian mirror reachable? Then try again."
            )
        for name in UNUSED:
            for inside in (root / name).glob("*"):
                shutil.rmtree(inside) if inside.is_dir() and not inside.is_symlink() else inside.unlink()
        finished = partial / "root.tar"
        subprocess.run(
            ["tar", "--numeric-owner", "--exclude=./dev/*", "-C", str(root), "-cf", str(finished), "."],
            check=True,
            timeout=_BOOTSTRAP_TIMEOUT,
        )
        finished.rename(archive)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    progress.done()


def _import(archive: Path, tag: str) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="partial-") as folder:
        dockerfile = Path(folder) / "Dockerfile"
        dockerfile.write_text(f'FROM scratch\nADD {archive.name} /\nENV LANG=C.UTF-8\nCMD ["python3"]\n')
        (Path(folder) / archive.name).hardlink_to(archive)
        call(
            *("bud", "--isolation", "chroot", "--timestamp", "0", "--tag", tag, folder),
            timeout=IMAGE_STORE_TIMEOUT,
        )


def _last_line(lines: list[str]) -> str:
    return lines[-1].removeprefix("I: ").strip() if lines else "starting"
