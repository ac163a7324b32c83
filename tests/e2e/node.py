"""What happens to a pod's processes on its node, without a word to Kubernetes."""

import os
import signal
from pathlib import Path

WORKER = b"pynenc_worker"


def kill_worker(uid: str) -> None:
    """Kill the worker of a pod as the kernel does when memory runs out."""
    _signal(uid, signal.SIGKILL)


def freeze_worker(uid: str) -> None:
    """Let the worker of a pod hang; `kill_worker` and a deletion still end it."""
    _signal(uid, signal.SIGSTOP)


def _signal(uid: str, number: signal.Signals) -> None:
    [pid] = [pid for pid in _processes(uid) if WORKER in Path(f"/proc/{pid}/cmdline").read_bytes()]
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
