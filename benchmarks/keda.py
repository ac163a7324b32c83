"""KEDA on the cluster: its operator and its metrics adapter as processes in the cluster's network.

They run outside of pods, with no limit of CPU or memory, as the cluster's own components do. Their settings are the
defaults of KEDA's own manifests but for addresses and certificates; `SETTINGS` says those that bear on speed.
"""

import contextlib
import json
import os
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.modules import folder_of
from tests.cluster import kubeconfig
from tests.cluster.node import NODE
from tests.cluster.paths import ClusterPaths
from tests.cluster.pki import Authority
from tests.cluster.programs import ON_DEMAND, command
from tests.e2e.kubernetes import Json, apply, get, kubectl, read, wait_until

NAMESPACE, ACCOUNT, ADAPTER = "keda", "keda-operator", "keda-metrics-apiserver"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
PROGRAM = ON_DEMAND["keda"]
LEASE, LETS_GO_WITHIN = "operator.keda.sh", 180.0
EXTERNAL_METRICS = "/apis/external.metrics.k8s.io/v1beta1"
# None of those that connections to elsewhere are given.
METRICS_PORT, HEALTH_PORT, ADAPTERS_METRICS_PORT, SERVICE_PORT, ADAPTER_PORT = 28080, 28081, 28082, 29666, 26443
SETTINGS: Json = {
    "version": PROGRAM.version,
    "kube-api-qps": 20,
    "kube-api-burst": 30,
    "KEDA_SCALEDOBJECT_CTRL_MAX_RECONCILES": 5,
    "KEDA_SCALEDJOB_CTRL_MAX_RECONCILES": 1,
    "leader-elect": True,
    "HPA sync period": "15 s (kube-controller-manager's default)",
    "runs as": "processes without limits in the cluster's network, not pods",
}


@contextmanager
def running() -> Iterator["Keda"]:
    """KEDA from its definitions to its end."""
    folder = Path(tempfile.mkdtemp(prefix="keda-", dir=ClusterPaths.current().state))
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(folder_of(PROGRAM) / "config" / "crd" / "bases"))
    for manifest in _manifests():
        apply(manifest, NAMESPACE)
    # Of an earlier one, which has not given it up.
    kubectl("delete", "lease", LEASE, "-n", NAMESPACE, "--ignore-not-found")
    keda = Keda(folder)
    try:
        keda.start()
        yield keda
    except AssertionError as error:
        error.add_note(f"KEDA's operator:\n{keda.log('operator')}")
        raise
    finally:
        with contextlib.suppress(AssertionError):
            _forget()
        keda.end()


def _forget() -> None:
    """Delete what KEDA follows while it is there to let go: without it, their finalizers would hold them for ever."""
    kinds = "scaledobjects,scaledjobs"
    kubectl("delete", kinds, "--all", "--all-namespaces", "--wait=false")
    wait_until(lambda: not get(kinds, "--all-namespaces")["items"], "KEDA has let go of everything", LETS_GO_WITHIN)


class Keda:
    """The two processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start both and wait until they answer; KEDA waits in the order of its start-up."""
        access = self._access()
        served = Authority(self._folder / "pki")
        hosts = ["IP:127.0.0.1", f"DNS:{ADAPTER}.{NAMESPACE}.svc"]
        server = served.server("keda-server", hosts)
        operator = self._certificates("operator", served.certificate, server)
        adapter = self._certificates("adapter", served.certificate, served.client("keda-adapter"))
        self._run(
            "operator",
            *("--leader-elect", "--zap-log-level=info", f"--cert-dir={operator}", "--enable-cert-rotation=false"),
            *("--enable-webhook-patching=false", "--enable-apiservice-patching=false"),
            f"--metrics-bind-address=127.0.0.1:{METRICS_PORT}",
            f"--health-probe-bind-address=127.0.0.1:{HEALTH_PORT}",
            f"--metrics-service-bind-address=127.0.0.1:{SERVICE_PORT}",
            access=access,
        )
        self._run(
            "adapter",
            *(f"--bind-address={NODE.ip}", f"--secure-port={ADAPTER_PORT}", f"--cert-dir={adapter}"),
            f"--port={ADAPTERS_METRICS_PORT}",
            *(f"--tls-cert-file={server[0]}", f"--tls-private-key-file={server[1]}"),
            *(f"--metrics-service-address=127.0.0.1:{SERVICE_PORT}", "--zap-log-level=error"),
            *(f"--{kind}-kubeconfig={access}" for kind in ("lister", "authentication", "authorization")),
            access=access,
        )
        wait_until(self._answers, "KEDA's operator is ready and the API server finds its adapter", 180)

    def end(self) -> None:
        """End both, and take the API that nobody serves any more away."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        with contextlib.suppress(AssertionError):
            kubectl("delete", "apiservice", "v1beta1.external.metrics.k8s.io", "--ignore-not-found")

    def pids(self) -> dict[str, int]:
        """The processes, by name."""
        return {name: process.pid for name, process in self._processes.items()}

    def metrics(self) -> str:
        """The operator's page of metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics", timeout=10) as answer:
            found: bytes = answer.read()
            return found.decode()

    def log(self, name: str, lines: int = 40) -> str:
        """The last lines that a process has written."""
        file = self._folder / f"{name}.log"
        return "\n".join(file.read_text(errors="replace").splitlines()[-lines:]) if file.exists() else ""

    def _run(self, name: str, *flags: str, access: Path) -> None:
        environment = {
            **os.environ,
            "KUBECONFIG": str(access),
            "POD_NAMESPACE": NAMESPACE,
            "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE,
            "WATCH_NAMESPACE": "",
        }
        # It ends with us, however we end.
        line = ["setpriv", "--pdeathsig", "KILL", str(command(name)), *flags]
        with (self._folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                line, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def _answers(self) -> bool:
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise AssertionError(f"KEDA's {name} has ended:\n{self.log(name)}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{HEALTH_PORT}/readyz", timeout=2) as answer:
                answer.read()
            read(EXTERNAL_METRICS)
        except (OSError, AssertionError):
            return False
        return bool(get("leases", "-n", NAMESPACE)["items"])

    def _certificates(self, name: str, authority: Path, pair: tuple[Path, Path]) -> Path:
        folder = self._folder / f"{name}-certificates"
        folder.mkdir(mode=0o700)
        for file, source in zip(("ca.crt", "tls.crt", "tls.key"), (authority, *pair), strict=True):
            (folder / file).write_bytes(source.read_bytes())
        return folder

    def _access(self) -> Path:
        """A kubeconfig of KEDA's own ServiceAccount, so that the audit log tells its requests from others'."""
        token = kubectl("create", "token", ACCOUNT, "-n", NAMESPACE, "--duration=4h").strip()
        paths = ClusterPaths.current()
        server = json.loads(paths.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        authority, file = paths.pki / "ca.crt", self._folder / "kubeconfig"
        return kubeconfig.write(file, server=server, authority=authority, user={"token": token})


def _manifests() -> list[Json]:
    group = "rbac.authorization.k8s.io"
    role = {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    port = {"name": "https", "port": 443, "targetPort": ADAPTER_PORT}
    group_version = {"group": "external.metrics.k8s.io", "version": "v1beta1"}
    priorities = {"groupPriorityMinimum": 100, "versionPriority": 100}

    def of(version: str, kind: str, name: str, **rest: Any) -> Json:
        marks = rest.pop("labels", {})
        return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": marks}, **rest}

    return [
        of("v1", "Namespace", NAMESPACE),
        of("v1", "ServiceAccount", ACCOUNT),
        of(f"{group}/v1", "ClusterRoleBinding", "keda", roleRef=role, subjects=[subject]),
        of("v1", "Service", ADAPTER, spec={"ports": [port]}),
        of(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            ADAPTER,
            labels={"kubernetes.io/service-name": ADAPTER},
            addressType="IPv4",
            ports=[{"name": "https", "port": ADAPTER_PORT, "protocol": "TCP"}],
            endpoints=[{"addresses": [NODE.ip], "conditions": {"ready": True}}],
        ),
        of(
            "apiregistration.k8s.io/v1",
            "APIService",
            "v1beta1.external.metrics.k8s.io",
            # As in KEDA's own manifest, where its operator puts the authority in later.
            spec={"service": {"name": ADAPTER, "namespace": NAMESPACE}, **group_version, **priorities}
            | {"insecureSkipTLSVerify": True},
        ),
    ]
