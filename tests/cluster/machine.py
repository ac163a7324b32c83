"""A further node's machine: its process 1, with a PID and a mount namespace of its own inside of the cluster's.

containerd and kubelet are started into it (`enter`), and their containers are in it as well. When its process 1 is
killed, the kernel kills all of them in the same instant, as when a machine's power is cut; when it is started again it
boots as a machine does, with what is on its disk and an empty /run. The network is the cluster's.

Started by `init` as `python -m tests.cluster.machine CLUSTER NODE`.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster.node import Node, mounts, nodes_of
from tests.cluster.paths import ROOT, ClusterPaths, cache

_BOOTED = Path("/run/booted")
_TIMEOUT = 30.0


def command(paths: ClusterPaths, node: Node) -> list[str]:
    """The command line of a machine. Its process outside of the namespaces and its process 1 end together."""
    return [
        *("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL"),
        *("env", f"PYTHONPATH={ROOT}", f"PYNENC_OPERATOR_CACHE={cache()}"),  # components have another HOME
        *(sys.executable, "-m", "tests.cluster.machine", paths.name, node.name),
    ]


def enter(pid: int) -> list[str]:
    """What runs a command on the machine; `pid` is of the process that `command` started."""
    return ["nsenter", f"--mount=/proc/{pid}/ns/mnt", f"--pid=/proc/{pid}/ns/pid_for_children"]


def booted(pid: int) -> Path:
    """What is there once the machine can be entered."""
    return Path(f"/proc/{pid}/root{_BOOTED}")


def boot(paths: ClusterPaths, node: Node) -> None:
    """Put the node's own folders where node components look for them."""
    hidden = mounts(node, paths)
    mounted = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    for covered in mounted & set(map(str, hidden)):  # the first node's, with all that its pods have mounted below
        _run("umount", "-n", "--recursive", "--lazy", covered)
    for left in hidden[Path("/run")].iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()
    _run("mount", "-n", "-t", "proc", "proc", "/proc")
    for target, source in hidden.items():
        _run("mount", "-n", "--bind", str(source), str(target))
    _run("mount", "-n", "--make-rshared", "/")  # pods may share mounts with their node, and the node with nobody
    _BOOTED.touch()


def main() -> None:
    paths = ClusterPaths(sys.argv[1])
    [node] = [node for node in nodes_of(paths) if node.name == sys.argv[2]]
    boot(paths, node)
    while True:
        try:
            os.wait()  # the orphans of containers are its children
        except ChildProcessError:
            time.sleep(0.5)


def _run(*line: str) -> None:
    subprocess.run(line, check=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT)


if __name__ == "__main__":
    main()
