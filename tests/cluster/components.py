"""The programs that make up the whole cluster, with their command lines and what each waits for."""

from dataclasses import dataclass
from pathlib import Path

from tests.cluster import machine
from tests.cluster.control_plane import ApiServer, Etcd
from tests.cluster.node import NODE, POD_CIDR, Node, nodes_of
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
    machine: str = ""  # the further node that it runs on; what has none runs in the cluster's own namespaces
    needs: Path | None = None  # a file that another component makes, without which it gives up


def before_the_api(paths: ClusterPaths) -> list[Component]:
    """What needs no API server, and the API server."""
    etcd = Etcd(paths.state / "etcd", ETCD_PORT, ETCD_PORT + 1)
    _, *further = nodes_of(paths)
    return [
        Component("etcd", etcd.command(command("etcd"))),
        Component("kube-apiserver", _api_server(paths, etcd.endpoint, NODE)),
        _of_node("containerd", NODE, _containerd(paths, NODE)),
        *(Component(node.name, machine.command(paths, node)) for node in further),
        *(_of_node("containerd", node, _containerd(paths, node)) for node in further),
    ]


def after_the_api(paths: ClusterPaths) -> list[Component]:
    """What would give up, or wait long, if it were started before the API server answers."""
    configuration = NODE.folder(paths) / "kube-proxy.yaml"
    return [
        Component("kube-controller-manager", _controller_manager(paths)),
        Component("kube-scheduler", _scheduler(paths)),
        Component("kube-proxy", [str(command("kube-proxy")), "--config", str(configuration)]),
        Component("coredns", [str(command("coredns")), "-conf", str(paths.state / "Corefile")]),
        *(_of_node("kubelet", node, _kubelet(paths, node), needs=node.socket) for node in nodes_of(paths)),
    ]


def every(paths: ClusterPaths) -> list[Component]:
    """Every component, in the order of their start."""
    return [*before_the_api(paths), *after_the_api(paths)]


def of_machine(node: Node) -> list[str]:
    """The names of what a further node consists of, in the order of their start."""
    return [node.name, _name("containerd", node), _name("kubelet", node)]


def _name(program: str, node: Node) -> str:
    return program if node.is_first else f"{program}-{node.name}"


def _of_node(program: str, node: Node, line: list[str], needs: Path | None = None) -> Component:
    return Component(_name(program, node), line, "" if node.is_first else node.name, needs)


def _containerd(paths: ClusterPaths, node: Node) -> list[str]:
    return [str(command("containerd")), "--config", str(node.folder(paths) / "containerd.toml")]


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


def names(paths: ClusterPaths) -> list[str]:
    """The names of `every` component, also where the programs are not built."""
    _, *further = nodes_of(paths)
    return [
        *("etcd", "kube-apiserver", "containerd"),
        *(node.name for node in further),
        *(_name("containerd", node) for node in further),
        *("kube-controller-manager", "kube-scheduler", "kube-proxy", "coredns"),
        *(_name("kubelet", node) for node in nodes_of(paths)),
    ]


def log_of(paths: ClusterPaths, name: str) -> Path:
    return paths.logs / f"{name}.log"
