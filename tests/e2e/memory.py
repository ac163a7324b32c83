"""Memory of a container: so little of it that the kernel's OOM killer ends the process that has most."""

import subprocess
import sys
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_LEFT = 1 << 20  # bytes: a limit below what is used is refused in version 1 of cgroups
# Waits until it is in the container's cgroup, takes more than there is, and goes. The OOM killer takes the container's
# own process and not this one: the kubelet gives that a score by which it goes first.
_EATER = "import sys; sys.stdin.readline(); held = b'x' * (96 << 20)"


def run_out(pid: int) -> None:
    """Let the container of a process have no more memory than it uses, and something in it need more."""
    folder, limit, use = _files(pid)
    with subprocess.Popen([sys.executable, "-c", _EATER], stdin=subprocess.PIPE) as eater:
        (folder / "cgroup.procs").write_text(str(eater.pid))
        (folder / limit).write_text(str(int((folder / use).read_text()) + _LEFT))
        eater.communicate(b"now\n", timeout=60)


def _files(pid: int) -> tuple[Path, str, str]:
    """The folder of a process' memory cgroup, and its files of the limit and of the use."""
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    for _, controllers, path in lines:
        if "memory" in controllers.split(","):
            return _MOUNT / "memory" / path.lstrip("/"), "memory.limit_in_bytes", "memory.usage_in_bytes"
    [path] = [path for number, _, path in lines if number == "0"]
    return _MOUNT / path.lstrip("/"), "memory.max", "memory.current"
