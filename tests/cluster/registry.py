"""An OCI registry in the cluster's network, on loopback: what is pushed there the node can pull, and helm install.

It lives with the cluster: its process ends with the cluster's process 1, and `down` removes what it holds.
"""

import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

from tests.cluster import membership
from tests.cluster.console import ClusterError
from tests.cluster.paths import ClusterPaths

ADDRESS = "localhost:5000"  # containerd, like docker, asks no certificate of a registry of this name
_CONFIGURATION = """\
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: "{folder}"}}}}
http: {{addr: "{address}"}}
"""
_STARTED_WITHIN = 20.0


def ensure(paths: ClusterPaths) -> None:
    """Start it unless it answers; inside the cluster's network alone, where it is of use."""
    pid = membership.required_pid(paths)
    if Path("/proc/self/ns/net").readlink() != Path(f"/proc/{pid}/ns/net").readlink():
        raise ClusterError("the registry is in the cluster's network: `python -m tests.cluster exec -- CMD ...`")
    if answers():
        return
    program = shutil.which("docker-registry")
    if program is None:
        raise ClusterError("there is no `docker-registry`: `make machine` gets what the cluster needs")
    folder = paths.state / "registry"
    folder.mkdir(exist_ok=True)
    configuration = folder / "config.yml"
    configuration.write_text(_CONFIGURATION.format(folder=folder / "data", address=ADDRESS))
    target = ("--target", str(pid), "--net", "--pid")
    log = paths.logs / "registry.log"
    with log.open("ab") as output:
        # In the background, so that nobody here is its parent: it stays when this program has ended.
        subprocess.run(
            ["setsid", "--fork", "nsenter", *target, program, "serve", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=True,
            timeout=10,
        )
    deadline = time.monotonic() + _STARTED_WITHIN
    while not answers():
        if time.monotonic() > deadline:
            raise ClusterError(f"the registry did not start, see {log}:\n{log.read_text()[-2000:]}")
        time.sleep(0.1)


def answers() -> bool:
    """Whether a registry answers here."""
    try:
        # Without a proxy, which does not know this localhost.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{ADDRESS}/v2/", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
