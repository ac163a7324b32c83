"""A node's configuration: containerd, the pods' network, kubelet and kube-proxy. Pure; `write` puts it into files."""

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
# Below /run, which is the cluster's own file system: short enough for a socket, and gone with the cluster.
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"


@dataclass(frozen=True)
class Node:
    """One node of the cluster: its name, address and the range that its pods get theirs from."""

    name: str
    ip: str
    pod_cidr: str

    def folder(self, paths: ClusterPaths) -> Path:
        return paths.node(self.name)


NODE = Node("node1", "10.99.0.1", "10.244.2.0/23")
NODE_NETWORK_PREFIX = 24


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


def kubelet_config(cluster: str, client_authority: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
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
        "cgroupRoot": root_of(cluster),
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
    for name in ("cni", "containerd", "kubelet", "log", "cni-state"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "containerd.toml").write_text(containerd_config(folder))
    (folder / "cni" / "10-pods.conflist").write_text(json.dumps(pod_network(node)))
    (folder / "kubelet.yaml").write_text(json.dumps(kubelet_config(paths.name, paths.pki / "ca.crt")))
    (folder / "kube-proxy.yaml").write_text(json.dumps(kube_proxy_config(node, paths.state / "kube-proxy.kubeconfig")))


def mounts(node: Node, paths: ClusterPaths) -> dict[Path, Path]:
    """What hides the machine's own folders in the node's mount namespace: where, and the node's folder."""
    folder = node.folder(paths)
    return {
        Path("/var/lib/kubelet"): folder / "kubelet",
        Path("/var/lib/cni"): folder / "cni-state",
        Path("/var/log"): folder / "log",
    }
