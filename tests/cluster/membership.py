"""Which process holds a cluster's namespaces, and how to get into them."""

import json
import os
import signal
import time
from pathlib import Path

from tests.cluster.console import ClusterError
from tests.cluster.paths import ClusterPaths
from tests.cluster.programs import search_path


def record(paths: ClusterPaths) -> str:
    """Note the calling process as the cluster's process 1, by what tells it from a later one of the same number."""
    pid = int(str(Path("/proc/self").readlink()))
    partial = paths.init_record.with_suffix(".partial")
    noted = json.dumps({"pid": pid, "identity": _identity(pid)})
    partial.write_text(noted)
    partial.rename(paths.init_record)
    return noted


def is_recorded(paths: ClusterPaths, noted: str) -> bool:
    """Whether the cluster's record is still the one that `record` returned."""
    try:
        return paths.init_record.read_text() == noted
    except FileNotFoundError:
        return False


def init_pid(paths: ClusterPaths) -> int | None:
    """The machine's number of the cluster's process 1, if that lives."""
    try:
        noted = json.loads(paths.init_record.read_text())
    except (FileNotFoundError, ValueError):
        return None
    pid: int = noted["pid"]
    return pid if _identity(pid) == noted["identity"] else None


def kill(paths: ClusterPaths, *, timeout: float = 20) -> None:
    """Kill the cluster's process 1, and so all that runs in the cluster; wait until it is gone."""
    pid = init_pid(paths)
    if pid is None:
        return
    handle = os.pidfd_open(pid)
    try:
        if init_pid(paths) != pid:
            return
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
    deadline = time.monotonic() + timeout
    while init_pid(paths) == pid:
        if time.monotonic() > deadline:
            raise ClusterError(
                f"process {pid} of cluster {paths.name} did not end in {timeout:.0f} s after SIGKILL: "
                f"`cat /proc/{pid}/stack` says what it waits for; try again when that is over"
            )
        time.sleep(0.05)


def required_pid(paths: ClusterPaths) -> int:
    """The cluster's process 1, or an error that says how to start it."""
    pid = init_pid(paths)
    if pid is None:
        raise ClusterError(f"cluster {paths.name} is not running: start it with `python -m tests.cluster up`")
    return pid


def inside(paths: ClusterPaths, line: list[str]) -> list[str]:
    """A command line that runs `line` in the cluster's network, with the cluster's DNS.

    The process stays in the machine's PID namespace and sees the machine's files. A mount namespace of its own holds
    the other resolv.conf; `ip netns exec` would do that too, but it also takes /sys away.
    """
    bind = 'if [ -e /etc/resolv.conf ]; then mount -n --bind "$0" /etc/resolv.conf; fi && exec "$@"'
    return [
        *("nsenter", f"--net=/proc/{required_pid(paths)}/ns/net"),
        *("unshare", "--mount", "--propagation", "private", "sh", "-c", bind, str(paths.resolv_conf), *line),
    ]


def environment(paths: ClusterPaths) -> dict[str, str]:
    """The environment of the cluster's clients: the administrator's kubeconfig, our kubectl and helm."""
    return os.environ | {
        "PATH": search_path("kubernetes", "helm"),
        "KUBECONFIG": str(paths.kubeconfig),
        "KUBECACHEDIR": str(paths.state / "kubectl-cache"),  # the default one is shared by all servers of one address
        "HELM_CACHE_HOME": str(paths.state / "helm" / "cache"),
        "HELM_CONFIG_HOME": str(paths.state / "helm" / "config"),
        "HELM_DATA_HOME": str(paths.state / "helm" / "data"),
        "PYNENC_CLUSTER": paths.name,
    }


def _identity(pid: int) -> str | None:
    """A process' start, by which boot and which clock tick; None for one that is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return None if fields[0] == "Z" else f"{boot}-{fields[19]}"
