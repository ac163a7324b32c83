"""Writing everything that a cluster's components read: certificates, kubeconfigs, configuration files."""

import json

from tests.cluster import components, dns, kubeconfig, node, oci
from tests.cluster.control_plane import API_SERVICE_IP, write_audit_policy
from tests.cluster.node import NODE, Node
from tests.cluster.paths import ClusterPaths
from tests.cluster.pki import Authority, signing_key
from tests.cluster.programs import PROGRAMS, command

_USERS = {  # file -> user and groups, as Kubernetes' own roles expect them
    "admin": ("kubernetes-admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager",),
    "kube-scheduler": ("system:kube-scheduler",),
    "kube-proxy": ("system:kube-proxy",),
    "coredns": (dns.USER,),
}


def current_versions() -> str:
    """The builds that a cluster started now consists of, a line for each."""
    return "".join(f"{program.key}\n" for program in PROGRAMS.values())


def write(paths: ClusterPaths, nodes: tuple[Node, ...]) -> None:
    """Fill the cluster's empty state folder."""
    paths.logs.mkdir(parents=True)
    paths.state.chmod(0o700)
    authority = Authority(paths.pki)
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{node.DOMAIN}"]
    hosts = [*(f"DNS:{name}" for name in (*names, "localhost")), *(f"IP:{ip}" for ip in ("127.0.0.1", NODE.ip))]
    authority.server("kube-apiserver", [*hosts, f"IP:{API_SERVICE_IP}"])
    authority.client("front-proxy-client")
    authority.client("kube-apiserver-kubelet-client", "system:masters")
    signing_key(paths.pki / "service-accounts.key")
    kubelets = {each.name: (f"system:node:{each.name}", "system:nodes") for each in nodes}
    for file, (user, *groups) in (_USERS | kubelets).items():
        kubeconfig.write(
            paths.state / f"{file}.kubeconfig",
            server=components.API_SERVER,
            authority=authority.certificate,
            user=kubeconfig.certificate_user(*authority.client(user, *groups)),
        )
    write_audit_policy(paths.state / "audit-policy.json")
    (paths.state / "Corefile").write_text(dns.corefile(NODE, paths))
    (paths.state / "dns.json").write_text(json.dumps(dns.manifests(NODE)))
    paths.resolv_conf.write_text(dns.resolv_conf())
    for each in nodes:
        node.write(each, paths)
    paths.versions.write_text(current_versions())
    oci.write_archive(paths.state / "pause.tar", node.PAUSE_IMAGE, command("pause"))
