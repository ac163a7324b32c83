"""A node's configuration: containerd, the pods' network, kubelet and kube-proxy. Pure; `write` puts it into files.

The first node is the cluster's own namespaces; each further one is a `machine` inside of them, with an address on the
same bridge, and shares their network.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.cgroups import root_of
from tests.cluster.paths import ClusterPaths

POD_CIDR = "10.244.0.0/16"
DNS_SERVICE_IP = "10.96.0.10"
DOMAIN = "cluster.local"
PAUSE_IMAGE = "localhost/pause:1"
# As the node itself sees it. Below /run, which is not the machine's own: short enough for a socket, and gone with it.
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
MOST_NODES = 9


@dataclass(frozen=True)
class Node:
    """One node of the cluster: its name, address and the range that its pods get theirs from."""

    name: str
    ip: str
    pod_cidr: str

    @property
    def is_first(self) -> bool:
        return self == NODE

    @property
    def run(self) -> Path:
        """Its /run, as the first node sees it."""
        return Path("/run") if self.is_first else Path("/run") / self.name

    @property
    def socket(self) -> Path:
        """containerd's socket, as the first node sees it."""
        return self.run / Path(CONTAINERD_SOCKET).relative_to("/run")

    def folder(self, paths: ClusterPaths) -> Path:
        return paths.node(self.name)


def numbered(number: int) -> Node:
    """The node of a number, 1 for the first."""
    return Node(f"node{number}", f"10.99.0.{number}", f"10.244.{2 * number}.0/23")


NODE = numbered(1)
NODE_NETWORK_PREFIX = 24


def nodes(count: int) -> tuple[Node, ...]:
    """The nodes of a cluster that has so many."""
    return tuple(numbered(number) for number in range(1, count + 1))


def nodes_of(paths: ClusterPaths) -> tuple[Node, ...]:
    """The nodes that a cluster was set up with; the first one, if it was not."""
    return tuple(node for node in nodes(MOST_NODES) if node.folder(paths).exists()) or (NODE,)


def containerd_config(folder: Path) -> str:
    """containerd's configuration file."""
    return f"""\
version = 3
root = "{folder}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]   # it makes folders in /opt

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
  # Without it no sandbox starts where this user may not lower a process' oom_score_adj.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "{folder}/cni"
"""


def pod_network(node: Node) -> dict[str, Any]:
    """The CNI configuration list.

    Each pod is routed through the node, not bridged: between two pods of one bridge the answer would go around the
    node's address translation, and a Service whose pod is on the same node would never answer.
    """
    ipam = {"type": "host-local", "ranges": [[{"subnet": node.pod_cidr}]], "routes": [{"dst": "0.0.0.0/0"}]}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipMasq": False, "ipam": ipam}]}


def kubelet_config(node: Node, cluster: str, client_authority: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.ip,  # another node's kubelet listens on the same ports of the same network namespace
        "healthzBindAddress": node.ip,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(client_authority)},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [DNS_SERVICE_IP],
        "clusterDomain": DOMAIN,
        "resolvConf": "",  # the machine's resolver can't be reached from the cluster's network
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": root_of(cluster, "" if node.is_first else node.name),
        "failCgroupV1": False,  # what some machines still have
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "maxPods": 250,
        "evictionHard": {},  # a developer's full disk is no reason to evict
        "imageGCHighThresholdPercent": 100,  # what was loaded can't be pulled again
        "imagePullCredentialsVerificationPolicy": "NeverVerify",  # nor if the same image was pulled by another name
        "volumePluginDir": "/var/lib/kubelet/plugins-exec",
    }


def kube_proxy_config(node: Node, kubeconfig: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": POD_CIDR,
        "hostnameOverride": node.name,
        "conntrack": {"maxPerCore": 0},  # a setting of the whole machine
        "oomScoreAdj": 0,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }


def write(node: Node, paths: ClusterPaths) -> None:
    """Write the node's configuration files."""
    folder = node.folder(paths)
    for name in ("cni", "containerd", "kubelet", "log", "cni-state", "run"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "containerd.toml").write_text(containerd_config(folder))
    (folder / "cni" / "10-pods.conflist").write_text(json.dumps(pod_network(node)))
    (folder / "kubelet.yaml").write_text(json.dumps(kubelet_config(node, paths.name, paths.pki / "ca.crt")))
    if node.is_first:  # one kube-proxy is for the network namespace, which all nodes share
        configuration = kube_proxy_config(node, paths.state / "kube-proxy.kubeconfig")
        (folder / "kube-proxy.yaml").write_text(json.dumps(configuration))


def mounts(node: Node, paths: ClusterPaths) -> dict[Path, Path]:
    """What hides the folders of whatever the node runs on in its mount namespace: where, and the node's folder.

    The first node's /run is a file system in memory; a further one's is a folder, which the first one can see.
    """
    folder = node.folder(paths)
    return {
        Path("/var/lib/kubelet"): folder / "kubelet",
        Path("/var/lib/cni"): folder / "cni-state",
        Path("/var/log"): folder / "log",
        **({} if node.is_first else {Path("/run"): folder / "run"}),
    }
