"""The programs that make up the whole cluster, with their command lines and what each waits for."""

from dataclasses import dataclass
from pathlib import Path

from tests.cluster.control_plane import ApiServer, Etcd
from tests.cluster.node import NODE, POD_CIDR, Node
from tests.cluster.paths import ClusterPaths
from tests.cluster.programs import command

API_PORT = 6443
API_SERVER = f"https://127.0.0.1:{API_PORT}"
ETCD_PORT = 2379


@dataclass(frozen=True)
class Component:
    """A long-running program; its output goes to logs/<name>.log."""

    name: str
    command: list[str]


def before_the_api(paths: ClusterPaths, node: Node = NODE) -> list[Component]:
    """What needs no API server, and the API server."""
    etcd = Etcd(paths.state / "etcd", ETCD_PORT, ETCD_PORT + 1)
    return [
        Component("etcd", etcd.command(command("etcd"))),
        Component("kube-apiserver", _api_server(paths, etcd.endpoint, node)),
        Component("containerd", [str(command("containerd")), "--config", str(node.folder(paths) / "containerd.toml")]),
    ]


def after_the_api(paths: ClusterPaths, node: Node = NODE) -> list[Component]:
    """What would give up, or wait long, if it were started before the API server answers."""
    folder = node.folder(paths)
    return [
        Component("kube-controller-manager", _controller_manager(paths)),
        Component("kube-scheduler", _scheduler(paths)),
        Component("kube-proxy", [str(command("kube-proxy")), "--config", str(folder / "kube-proxy.yaml")]),
        Component("coredns", [str(command("coredns")), "-conf", str(paths.state / "Corefile")]),
        Component("kubelet", _kubelet(paths, node)),
    ]


def _api_server(paths: ClusterPaths, etcd: str, node: Node) -> list[str]:
    pki = paths.pki
    server = ApiServer(
        etcd=etcd,
        bind="0.0.0.0",  # noqa: S104 - of the cluster's own network namespace
        port=API_PORT,
        certificate=pki / "kube-apiserver.crt",
        key=pki / "kube-apiserver.key",
        client_authority=pki / "ca.crt",
        signing_key=pki / "service-accounts.key",
        audit_policy=paths.state / "audit-policy.json",
        audit_log=paths.audit_log,
    )
    return server.command(
        command("kube-apiserver"),
        *("--advertise-address", node.ip),
        *("--kubelet-preferred-address-types", "InternalIP"),  # node names don't resolve
        *("--kubelet-client-certificate", f"{pki}/kube-apiserver-kubelet-client.crt"),
        *("--kubelet-client-key", f"{pki}/kube-apiserver-kubelet-client.key"),
        *("--requestheader-client-ca-file", f"{pki}/ca.crt", "--requestheader-allowed-names", "front-proxy-client"),
        *("--requestheader-extra-headers-prefix", "X-Remote-Extra-"),
        *("--requestheader-group-headers", "X-Remote-Group", "--requestheader-username-headers", "X-Remote-User"),
        *("--proxy-client-cert-file", f"{pki}/front-proxy-client.crt"),
        *("--proxy-client-key-file", f"{pki}/front-proxy-client.key", "--enable-aggregator-routing"),
    )


def _controller_manager(paths: ClusterPaths) -> list[str]:
    kubeconfig = _kubeconfig(paths, "kube-controller-manager")
    return [
        *(str(command("kube-controller-manager")), "--kubeconfig", kubeconfig),
        *("--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig),
        *("--service-account-private-key-file", f"{paths.pki}/service-accounts.key"),
        *("--root-ca-file", f"{paths.pki}/ca.crt", "--use-service-account-credentials"),
        *("--cluster-cidr", POD_CIDR, "--bind-address", "127.0.0.1", "--leader-elect=false"),
        *("--kube-api-qps", "200", "--kube-api-burst", "400"),  # the default makes the start 4 s longer
    ]


def _scheduler(paths: ClusterPaths) -> list[str]:
    kubeconfig = _kubeconfig(paths, "kube-scheduler")
    return [
        *(str(command("kube-scheduler")), "--kubeconfig", kubeconfig),
        *("--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig),
        *("--bind-address", "127.0.0.1", "--leader-elect=false"),
    ]


def _kubelet(paths: ClusterPaths, node: Node) -> list[str]:
    return [
        *(str(command("kubelet")), "--config", str(node.folder(paths) / "kubelet.yaml")),
        *("--kubeconfig", _kubeconfig(paths, node.name), "--hostname-override", node.name, "--node-ip", node.ip),
    ]


def _kubeconfig(paths: ClusterPaths, user: str) -> str:
    return str(paths.state / f"{user}.kubeconfig")


def names() -> list[str]:
    """Every component, in the order of their start."""
    return [
        *("etcd", "kube-apiserver", "containerd"),
        *("kube-controller-manager", "kube-scheduler", "kube-proxy", "coredns", "kubelet"),
    ]


def log_of(paths: ClusterPaths, name: str) -> Path:
    return paths.logs / f"{name}.log"
