"""What happens to a pod's processes on its node, without a word to Kubernetes."""

import os
import signal
from pathlib import Path

PROGRAMS = (b"pynenc_worker", b"pynenc_operator")


def kill(uid: str) -> None:
    """Kill the worker or operator of a pod as the kernel does when memory runs out."""
    _signal(uid, signal.SIGKILL)


def freeze(uid: str) -> None:
    """Let the worker of a pod hang; its end is SIGKILL after the grace period."""
    _signal(uid, signal.SIGSTOP)


def _signal(uid: str, number: signal.Signals) -> None:
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in _processes(uid)}
    [pid] = [pid for pid, line in lines.items() if any(program in line for program in PROGRAMS)]
    os.kill(pid, number)


def _processes(uid: str) -> list[int]:
    """The processes in a pod's cgroup; the single node of the local cluster is this machine."""
    names = {f"pod{uid}", f"pod{uid.replace('-', '_')}"}
    found = []
    for folder in Path("/proc").iterdir():
        try:
            cgroup = (folder / "cgroup").read_text() if folder.name.isdigit() else ""
        except OSError:
            continue  # it has ended meanwhile
        if any(name in cgroup for name in names):
            found.append(int(folder.name))
    return found
