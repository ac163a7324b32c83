"""Starting and ending a cluster. Each is safe to repeat, to interrupt, and to run twice at once."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster import cgroups, components, health, membership, setup
from tests.cluster.build import build
from tests.cluster.console import ClusterError, Progress, say
from tests.cluster.locks import exclusive
from tests.cluster.node import MOST_NODES, NODE, mounts, nodes, nodes_of
from tests.cluster.paths import ROOT, ClusterPaths

_READY_WITHIN = 120.0
_NEEDED = {  # what stands for each Debian package
    "runc": "runc",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "openssl": "openssl",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
}


def up(paths: ClusterPaths, count: int | None = None) -> None:
    """Start the cluster with so many nodes and return when it is usable; does nothing to one that is.

    Without a number it keeps the nodes that it has; one that is not there gets one.
    """
    if count is not None and not 1 <= count <= MOST_NODES:
        raise ClusterError(f"a cluster has 1 to {MOST_NODES} nodes, not {count}")
    _check_machine(paths)
    build([])
    with exclusive(paths.lock, f"starting or ending cluster {paths.name}", timeout=300):
        present = nodes_of(paths)
        wanted = present if count is None else nodes(count)
        if membership.init_pid(paths) is not None:
            found = _outdated(paths) or health.problems(paths)
            if wanted != present:
                found = [f"it has {len(present)} of {len(wanted)} nodes"]
            if not found:
                say(f"cluster {paths.name} is up already")
                return
            say(f"cluster {paths.name}: {'; '.join(found)}: starting it anew")
        _clear(paths)
        progress = Progress(f"cluster {paths.name}")
        setup.write(paths, wanted)
        _start_init(paths)
        _wait(paths, progress)
        progress.done(f"up: {', '.join(node.name for node in wanted)} Ready and DNS answers")


def down(paths: ClusterPaths) -> None:
    """End the cluster and remove everything of it."""
    with exclusive(paths.lock, f"starting or ending cluster {paths.name}", timeout=300):
        existed = paths.state.exists()
        _clear(paths)
        say(f"cluster {paths.name} is down" if existed else f"cluster {paths.name} was not there")


def _clear(paths: ClusterPaths) -> None:
    membership.kill(paths)
    left = cgroups.remove(paths.name)
    if left:
        raise ClusterError(
            f"cgroup {left[-1]} of cluster {paths.name} can't be removed: a process is still in it "
            f"(`cat {left[-1]}/cgroup.procs` lists it); try again when it has ended"
        )
    deadline = time.monotonic() + 10
    while paths.state.exists():
        try:
            shutil.rmtree(paths.state)
        except OSError as error:  # a dying cluster's mounts may last a moment longer than its processes
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{error.filename} of cluster {paths.name} can't be removed: {error.strerror}. "
                    "`fuser -vm` on it names who uses it"
                ) from error
            time.sleep(0.1)


def _outdated(paths: ClusterPaths) -> list[str]:
    """Programs whose definitions have changed since the cluster was started."""
    running = paths.versions.read_text().splitlines() if paths.versions.exists() else []
    current = setup.current_versions().splitlines()
    return [f"it does not run {key}" for key in current if key not in running]


def _start_init(paths: ClusterPaths) -> None:
    log = components.log_of(paths, "init")
    with log.open("wb") as output:
        started = subprocess.run(
            [sys.executable, "-m", "tests.cluster.init", paths.name],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
            start_new_session=True,  # it outlives us, and our Ctrl-C
        )
    if started.returncode:
        raise ClusterError(
            f"the namespaces of cluster {paths.name} could not be made: {log.read_text(errors='replace').strip()}"
        )


def _wait(paths: ClusterPaths, progress: Progress) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    time.sleep(0.2)  # process 1 writes its record first of all
    while True:
        crashed = health.crashes(paths)
        found = crashed or health.problems(paths)
        if not found:
            return
        if crashed or time.monotonic() > deadline:
            membership.kill(paths)
            why = "" if crashed else f" in {_READY_WITHIN:.0f} s"
            raise ClusterError(
                f"cluster {paths.name} did not come up{why}: {'; '.join(found)}\nThe logs are kept in {paths.logs}"
            )
        progress.tick(lambda found=found: found[0])  # type: ignore[misc]
        time.sleep(0.3)


def _check_machine(paths: ClusterPaths) -> None:
    """Fail with the mend when the machine lacks something."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise ClusterError("the local cluster needs Linux and root: run it as root, or in a virtual machine")
    lacking = [package for program, package in _NEEDED.items() if shutil.which(program) is None]
    if lacking:
        raise ClusterError(f"the machine lacks {', '.join(lacking)}: `apt-get install {' '.join(lacking)}`")
    for hidden in (Path("/run"), *mounts(NODE, paths)):
        if paths.state.is_relative_to(hidden):
            raise ClusterError(
                f"the cache {paths.state} is below {hidden}, which the cluster hides: set PYNENC_OPERATOR_CACHE"
            )
