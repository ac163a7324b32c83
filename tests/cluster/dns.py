"""The cluster's DNS: CoreDNS beside the other components, behind the Service that pods expect.

A real cluster runs it in pods. Here it is a process in the cluster's network, which needs no image; pods can't tell.
"""

from typing import Any

from tests.cluster.node import DNS_SERVICE_IP, DOMAIN, Node
from tests.cluster.paths import ClusterPaths

USER = "coredns"
_NAMESPACE = "kube-system"
_PORTS = (("dns", "UDP"), ("dns-tcp", "TCP"))


def corefile(node: Node, paths: ClusterPaths) -> str:
    """CoreDNS' configuration: what is not of the cluster does not exist, which is also the quickest answer.

    Two blocks, since within one CoreDNS would ask `template` before `kubernetes`, whatever their order here.
    """
    return f"""\
{DOMAIN}:53 in-addr.arpa:53 ip6.arpa:53 {{
    bind {node.ip}
    errors
    ready 127.0.0.1:8181
    kubernetes {{
        kubeconfig {paths.state}/coredns.kubeconfig
        pods insecure
        ttl 5
    }}
}}
.:53 {{
    bind {node.ip}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def manifests(node: Node) -> dict[str, Any]:
    """The rights of CoreDNS and the `kube-dns` Service with the node's address behind it."""
    labels = {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}
    metadata = {"name": "kube-dns", "namespace": _NAMESPACE, "labels": labels}
    readable = [
        {"apiGroups": [""], "resources": ["services", "namespaces", "pods", "endpoints"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    role = {"name": "system:coredns"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"}
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}
    ports = [{"name": name, "port": 53, "protocol": protocol} for name, protocol in _PORTS]
    items: list[dict[str, Any]] = [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": role, "rules": readable},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": role,
            "roleRef": reference,
            "subjects": [user],
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"clusterIP": DNS_SERVICE_IP, "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata | {"labels": labels | {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [node.ip], "conditions": {"ready": True}, "nodeName": node.name}],
            "ports": ports,
        },
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def resolv_conf() -> str:
    """How a process beside the pods, in the namespace `default` so to say, finds the cluster's Services."""
    search = " ".join([f"default.svc.{DOMAIN}", f"svc.{DOMAIN}", DOMAIN])
    return f"nameserver {DNS_SERVICE_IP}\nsearch {search}\noptions ndots:5 timeout:2\n"
