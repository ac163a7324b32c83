"""Half a cluster: a real etcd and kube-apiserver on loopback, for tests that need no pods to run.

Nobody reconciles here: there is no controller-manager, so nothing is garbage-collected, pods stay Pending until a
test writes their status, and a new namespace has no `default` ServiceAccount, without which the API server's
admission refuses pods, as it does in a real cluster. `create_namespace` makes both.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster import kubeconfig
from tests.cluster.console import ClusterError
from tests.cluster.control_plane import API_SERVICE_IP, ApiServer, Etcd, write_audit_policy
from tests.cluster.paths import cache
from tests.cluster.pki import Authority, signing_key
from tests.cluster.programs import command
from tests.cluster.readiness import wait_for_api

_ATTEMPTS = 3  # a free port may be somebody else's by the time that it is used
_READY_WITHIN = 60.0


class HalfCluster:
    """A context manager; use it from the thread that outlives it, since its servers end with the thread that entered.

    `server` is the API's URL, `ca_file` its authority, `admin_token` a bearer token of group system:masters,
    `kubeconfig` a file with all three, and `audit_log` has a JSON line for every answered request. `etcd` is the URL of
    its etcd, `certificate` and `key` are what the API server shows of itself.
    """

    server: str
    ca_file: Path
    certificate: Path
    key: Path
    etcd: str
    admin_token: str
    kubeconfig: Path
    audit_log: Path

    def __init__(self, *api_server: str) -> None:
        """`api_server`: more of its command line."""
        self._more = api_server

    def __enter__(self) -> Self:
        self._processes: list[subprocess.Popen[bytes]] = []
        self.folder = _own_folder()
        try:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    self._start(self.folder / str(attempt))
                    break
                except ClusterError:
                    self._stop()
                    if attempt == _ATTEMPTS:
                        raise
            self._create_service_account("default")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the servers and remove their files."""
        self._stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator; with `check`, a failure raises with what kubectl said."""
        result = subprocess.run(
            [str(command("kubectl")), *arguments],
            env=os.environ | {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.folder / "kubectl")},
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if check and result.returncode:
            raise ClusterError(f"kubectl {' '.join(arguments)}: {result.stderr.strip()}")
        return result

    def create_namespace(self, name: str, labels: dict[str, str] | None = None) -> None:
        """Make a namespace and, what a controller would do in a whole cluster, its `default` ServiceAccount."""
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}}
        self.kubectl("create", "-f", "-", input=json.dumps(manifest))
        self._create_service_account(name)

    def ensure_namespace(self, name: str) -> None:
        """Make a namespace, unless another test that shares this cluster has made it."""
        if not self.kubectl("get", "namespace", name, "--ignore-not-found").stdout:
            self.create_namespace(name)

    def create_token(self, namespace: str, account: str, *, pod: str | None = None, duration: str = "1h") -> str:
        """A ServiceAccount's token, bound to a pod that exists and runs as that account if `pod` names one."""
        bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod}") if pod else ()
        answer = self.kubectl("create", "token", account, f"--namespace={namespace}", f"--duration={duration}", *bound)
        return answer.stdout.strip()

    def _create_service_account(self, namespace: str) -> None:
        self.kubectl("create", "serviceaccount", "default", f"--namespace={namespace}")

    def _start(self, folder: Path) -> None:
        folder.mkdir()
        authority = Authority(folder / "pki")
        hosts = ["DNS:localhost", "IP:127.0.0.1", f"IP:{API_SERVICE_IP}"]
        self.certificate, self.key = authority.server("kube-apiserver", hosts)
        self.ca_file = authority.certificate
        self.audit_log = folder / "audit.log"
        self.admin_token = secrets.token_urlsafe(24)
        tokens = folder / "pki" / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(f"{self.admin_token},admin,admin,system:masters\n")
        client_port, peer_port, port = _free_ports(3)
        self.server = f"https://127.0.0.1:{port}"
        user = {"token": self.admin_token}
        self.kubeconfig = kubeconfig.write(
            folder / "admin.kubeconfig", server=self.server, authority=self.ca_file, user=user
        )
        etcd = Etcd(folder / "etcd", client_port, peer_port)
        self.etcd = etcd.endpoint
        api = ApiServer(
            etcd=self.etcd,
            bind="127.0.0.1",
            port=port,
            certificate=self.certificate,
            key=self.key,
            client_authority=authority.certificate,
            signing_key=signing_key(folder / "pki" / "service-accounts.key"),
            audit_policy=write_audit_policy(folder / "audit-policy.json"),
            audit_log=self.audit_log,
        )
        self._run("etcd", etcd.command(command("etcd")), folder)
        # No endpoint for the `kubernetes` Service: the API server refuses to advertise a loopback address.
        more = ("--token-auth-file", str(tokens), "--endpoint-reconciler-type", "none", *self._more)
        self._run("kube-apiserver", api.command(command("kube-apiserver"), *more), folder)
        self._wait_until_ready(folder)

    def _run(self, name: str, line: list[str], folder: Path) -> None:
        with (folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *line],  # the kernel ends it with us, whatever ends us
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us, who then stop it in order
            )
        self._processes.append(process)

    def _wait_until_ready(self, folder: Path) -> None:
        def check() -> None:
            for process, name in zip(self._processes, ("etcd", "kube-apiserver"), strict=True):
                if process.poll() is not None:
                    log = (folder / f"{name}.log").read_text(errors="replace")
                    raise ClusterError(f"{name} ended with {process.returncode}:\n{log[-2000:]}")

        wait_for_api(self.server, self.ca_file, timeout=_READY_WITHIN, check=check)

    def _stop(self) -> None:
        # The API server first: a graceful end hangs once etcd is gone, and nothing of it is kept anyway.
        for process in reversed(self._processes):
            process.kill()
            process.wait(timeout=30)
        self._processes.clear()


def _own_folder() -> Path:
    """A new folder named by our process; those of processes that are gone, and so were killed, are removed."""
    parent = cache() / "half-clusters"
    parent.mkdir(parents=True, exist_ok=True)
    for other in parent.iterdir():
        if not Path(f"/proc/{other.name.split('-')[0]}").exists():
            shutil.rmtree(other, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))


def _free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports
