"""Working with a running cluster: commands inside of its network, its state, its logs."""

import os
import shutil
import sys

from tests.cluster import components, health, membership
from tests.cluster.console import ClusterError
from tests.cluster.paths import ClusterPaths


def execute(paths: ClusterPaths, line: list[str]) -> int:
    """Become `line`, inside the cluster's network; returns only an exit code, of a command that does not exist."""
    if not line:
        raise ClusterError("exec needs a command: `python -m tests.cluster exec -- CMD ...`")
    environment = membership.environment(paths)
    if shutil.which(line[0], path=environment["PATH"]) is None:
        raise ClusterError(f"there is no command {line[0]}")
    inside = membership.inside(paths, line)
    sys.stdout.flush()
    os.execvpe(inside[0], inside, environment)  # noqa: S606


def status(paths: ClusterPaths) -> int:
    """Print what the cluster is doing; 0 if it is usable."""
    pid = membership.init_pid(paths)
    found = health.problems(paths)
    print(f"cluster {paths.name}: {'up' if not found else '; '.join(found)}")
    if pid is not None:
        for name, state in health.component_states(paths).items():
            print(f"  {name:25} {state:12} {components.log_of(paths, name)}")
        print(f"  process 1 is {pid}; kubeconfig (inside its network only): {paths.kubeconfig}")
    return 1 if found else 0


def logs(paths: ClusterPaths, name: str) -> None:
    """Print a component's log."""
    known = ["init", "audit", *components.names(paths)]
    log = components.log_of(paths, name)
    if name not in known:
        raise ClusterError(f"no component is called {name}: choose from {', '.join(known)}")
    if not log.exists():
        raise ClusterError(f"{name} of cluster {paths.name} has no log yet: is the cluster up?")
    with log.open("rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
