"""Process 1 of a cluster: it makes the cluster's namespaces, starts its components, and takes them all with it.

Everything that a cluster runs and mounts is in its PID, mount and network namespace. When this process ends, however
it ends, the kernel kills every other process in there, containers included, and with the last of them go all mounts
and network devices. So there is nothing to clean up after a crash or a kill, and nobody else's things can be hit.

Started by `lifecycle.up` as `python -m tests.cluster.init NAME`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster import cgroups, components, machine, membership
from tests.cluster.components import Component
from tests.cluster.console import ClusterError, say
from tests.cluster.node import NODE, NODE_NETWORK_PREFIX, mounts, nodes_of
from tests.cluster.paths import ClusterPaths
from tests.cluster.programs import command, search_path
from tests.cluster.readiness import wait_for_api

_STEP_TIMEOUT = 60.0


class Init:
    """The life of process 1."""

    def __init__(self, paths: ClusterPaths, noted: str) -> None:
        self.paths = paths
        self.noted = noted
        self.nodes = nodes_of(paths)
        self.children: dict[int, str] = {}
        self.states: dict[str, str] = dict.fromkeys(components.names(paths), "not started")
        self.environment = os.environ | {"PATH": search_path("kubernetes", "containerd"), "HOME": str(paths.state)}

    def run(self) -> int:
        """Start everything, then wait for the end: returns only when the cluster is to go."""
        self._mount()
        self._connect()
        cgroups.create(self.paths.name, *(node.name for node in self.nodes if not node.is_first))
        self._report()
        for component in components.before_the_api(self.paths):
            self._start(component)
        wait_for_api(components.API_SERVER, self.paths.pki / "ca.crt", timeout=_STEP_TIMEOUT, check=self._check)
        self._do(
            *(str(command("kubectl")), "--kubeconfig", str(self.paths.kubeconfig), "apply", "--server-side"),
            *("-f", str(self.paths.state / "dns.json")),
        )
        for node in self.nodes:
            self._wait_for(node.socket)
            ctr = (str(command("ctr")), "--address", str(node.socket), "--namespace", "k8s.io")
            self._do(*ctr, "images", "import", str(self.paths.state / "pause.tar"))
        for component in components.after_the_api(self.paths):
            self._start(component)
        while membership.is_recorded(self.paths, self.noted):  # a removed state folder ends the cluster too
            self._check()
            self._start_again()
            time.sleep(1)
        return 0

    def _mount(self) -> None:
        """Hide the machine's folders that node components insist on behind the cluster's own."""
        mount = ("mount", "-n")
        # What happens here stays here; pods may still share mounts with their node.
        self._do(*mount, "--make-rprivate", "/")
        self._do(*mount, "-t", "proc", "proc", "/proc")
        self._do(*mount, "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        for target, source in mounts(NODE, self.paths).items():
            target.mkdir(parents=True, exist_ok=True)
            self._do(*mount, "--bind", str(source), str(target))
        for node in self.nodes[1:]:  # so that their sockets can be reached from here
            node.run.mkdir()
            self._do(*mount, "--bind", str(node.folder(self.paths) / "run"), str(node.run))
        self._do(*mount, "--make-rshared", "/")

    def _connect(self) -> None:
        """Make the node's network: an empty bridge is its interface (some kernels have no dummy device)."""
        for line in (
            "link set lo up",
            "link add node0 type bridge",
            *(f"addr add {node.ip}/{NODE_NETWORK_PREFIX} dev node0" for node in self.nodes),
            "link set node0 up",
            "route add default dev node0",
        ):
            self._do("ip", *line.split())
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def _start(self, component: Component) -> None:
        line = [*self._enter(component.machine), *component.command] if component.machine else component.command
        if component.needs:
            self._wait_for(component.needs)
        with components.log_of(self.paths, component.name).open("wb") as log:
            process = subprocess.Popen(
                line,
                cwd=self.paths.state,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.children[process.pid] = component.name
        process.returncode = 0  # `_check` reaps it with the orphans; Popen is to leave it alone
        self.states[component.name] = "running"
        self._report()

    def _check(self) -> None:
        """Take note of who has ended, orphans of containers included. Nothing is restarted: a crash is to be seen."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self.children.pop(pid, None)
            if name:
                code = os.waitstatus_to_exitcode(status)
                self.states[name] = f"ended with {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
                self._report()

    def _start_again(self) -> None:
        """Start what has ended and is wanted back; see `interruption`."""
        if not self.paths.wanted_back.exists():
            return
        ended = [name for name, state in self.states.items() if state != "running"]
        for component in components.every(self.paths):
            wish = self.paths.wanted_back / component.name
            if component.name in ended and wish.exists():
                wish.unlink()
                self._start(component)

    def _enter(self, name: str) -> list[str]:
        """What runs a command on a further node, when that has booted."""
        pid = next((pid for pid, child in self.children.items() if child == name), None)
        if pid is None:
            raise ClusterError(f"{name} does not run, so nothing can be started on it")
        self._wait_for(machine.booted(pid))
        return machine.enter(pid)

    def _wait_for(self, path: Path) -> None:
        deadline = time.monotonic() + _STEP_TIMEOUT
        while not path.exists():
            self._check()
            if time.monotonic() > deadline:
                raise ClusterError(f"there is no {path} after {_STEP_TIMEOUT:.0f} s: see the log of who is to make it")
            time.sleep(0.05)

    def _do(self, *line: str) -> None:
        """Run something short to its end."""
        subprocess.run(line, check=True, env=self.environment, stdin=subprocess.DEVNULL, timeout=_STEP_TIMEOUT)

    def _report(self) -> None:
        partial = self.paths.components.with_suffix(".partial")
        partial.write_text(json.dumps(self.states))
        partial.rename(self.paths.components)


def main() -> None:
    paths = ClusterPaths(sys.argv[1])
    os.unshare(os.CLONE_NEWNET | os.CLONE_NEWNS | os.CLONE_NEWPID)
    if os.fork():  # only a child is in the new PID namespace
        return
    noted = membership.record(paths)  # while /proc is still the machine's, and knows us by the machine's number
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # process 1 has no default for it
    try:
        os._exit(Init(paths, noted).run())
    except BaseException as error:  # noqa: BLE001 - whatever it is, `up` reads it in our log
        say(f"{type(error).__name__}: {error}")
        os._exit(1)


if __name__ == "__main__":
    main()
