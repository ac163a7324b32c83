"""The processes of pods, as the machine sees them: to kill or stop one as no request to the API server can."""

import contextlib
import os
import signal
from pathlib import Path


def find(pod_uid: str, program: str) -> int:
    """The process of a pod whose command line names `program`, by its number outside of the cluster."""
    found = [pid for pid in _of_pod(pod_uid) if program in _command(pid)]
    assert len(found) == 1, f"{program} of pod {pod_uid}: {found}"
    return found[0]


def send(pod_uid: str, program: str, number: signal.Signals) -> None:
    """Send a signal to that process."""
    os.kill(find(pod_uid, program), number)


def end(pod_uid: str) -> None:
    """Kill whatever still runs of a pod."""
    for pid in _of_pod(pod_uid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _of_pod(uid: str) -> list[int]:
    """All processes in a pod's cgroups, by their numbers outside of the cluster."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"pod{uid}" in (process / "cgroup").read_text():
                found.append(int(process.name))
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
