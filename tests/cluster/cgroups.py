"""The cgroups below which a cluster's pods run: one folder in every hierarchy, so that `down` finds them all."""

import time
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")


def root_of(cluster: str, node: str = "") -> str:
    """The cgroup of a cluster's pods, as kubelet's cgroupRoot wants it; that of a further node is inside of it."""
    return f"/pynenc-operator.{cluster}" + (f"/{node}" if node else "")


def create(cluster: str, *nodes: str) -> None:
    """Make the cluster's cgroup in every hierarchy, and one in it for each further node."""
    for hierarchy in _hierarchies():
        for root in (root_of(cluster), *(root_of(cluster, node) for node in nodes)):
            folder = hierarchy / root.lstrip("/")
            above = folder.parent
            if (above / "cgroup.controllers").exists() and hierarchy == _MOUNT:
                # In version 2 a cgroup has the controllers that the one above it passes on.
                passed = " ".join(f"+{name}" for name in (above / "cgroup.controllers").read_text().split())
                (above / "cgroup.subtree_control").write_text(passed)
            folder.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):  # empty at first in version 1, and then nothing may run in it
                if (folder / name).exists() and (folder / "tasks").exists():
                    (folder / name).write_text((above / name).read_text())


def remove(cluster: str, *, timeout: float = 10) -> list[Path]:
    """Remove the cluster's cgroups, innermost first; waits `timeout` seconds for killed processes to leave them.

    Returns those that could not be removed.
    """
    deadline = time.monotonic() + timeout
    while True:
        left = [folder for folder in _folders(cluster) if not _removed(folder)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def _hierarchies() -> list[Path]:
    """The mount of version 2, or one for each controller of version 1."""
    if (_MOUNT / "cgroup.controllers").exists():
        return [_MOUNT]
    return [p for p in sorted(_MOUNT.iterdir()) if p.is_dir() and not p.is_symlink()]


def _folders(cluster: str) -> list[Path]:
    """All of the cluster's cgroups, each after those inside of it."""
    found: list[Path] = []
    for hierarchy in _hierarchies():
        top = hierarchy / root_of(cluster).lstrip("/")
        if top.exists():
            found += [folder for folder, _, _ in top.walk(top_down=False)]
    return found


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
