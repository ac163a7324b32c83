"""Which cluster the demo runs on: the project's local one, or that of the current kubeconfig."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, override

from examples.demo.client import Client
from tests.cluster import images, lifecycle, membership, node_images
from tests.cluster.build import build
from tests.cluster.console import ClusterError
from tests.cluster.paths import ClusterPaths, cache
from tests.cluster.programs import PROGRAMS, search_path

CURRENT_REDIS = "docker.io/library/redis:7"
_CLIENTS = {"kubectl": "kubernetes", "helm": "helm"}  # command -> the program of ours that has it


class UsageError(ClusterError):
    """The demo was called with something missing or wrong; the text says what it needs."""


@dataclass(frozen=True)
class References:
    """The image references that the cluster's pods name."""

    operator: str
    demo: str
    redis: str


class Target(Protocol):
    """A cluster to run the demo on."""

    name: str
    lock: Path  # held by the one demo that may run on it at a time
    kubectl: str  # how a user calls kubectl on it
    afterwards: str  # how a user ends what the demo leaves running

    def programs(self) -> None:
        """Get the programs that are missing."""

    def cluster(self) -> None:
        """Start the cluster, or see that it answers."""

    def images(self) -> References:
        """Build the images and bring them to where the cluster finds them."""
        ...

    def client(self) -> Client:
        """What runs kubectl and helm on this cluster."""
        ...


class LocalCluster(Target):
    """The project's own cluster on this machine."""

    afterwards = "make cluster-down"

    def __init__(self, paths: ClusterPaths) -> None:
        self.name = f"local cluster {paths.name}"
        self.lock = paths.lock.with_name(f"{paths.name}.demo.lock")
        self._paths = paths
        self.kubectl = 'make kubectl ARGS="{}"'

    @override
    def programs(self) -> None:
        build([])

    @override
    def cluster(self) -> None:
        lifecycle.up(self._paths)

    @override
    def images(self) -> References:
        built = images.build()
        images.load(self._paths, built)
        # A name of its own for each version, or a changed operator would not be rolled out.
        operator = f"{images.OPERATOR.name}-{built[images.OPERATOR][:12]}"
        node_images.ctr(self._paths, "images", "tag", "--force", images.OPERATOR.name, operator)
        return References(operator, images.DEMO.name, images.REDIS.name)

    @override
    def client(self) -> Client:
        return Client(lambda line: membership.inside(self._paths, line), membership.environment(self._paths))


class CurrentCluster(Target):
    """The cluster of the current kubeconfig; the images go there by a registry."""

    afterwards = "kubectl delete namespace demo; helm uninstall pynenc-operator --namespace pynenc-system"

    def __init__(self, registry: str, environment: Mapping[str, str]) -> None:
        self.name = "the cluster of the current kubeconfig"
        self.lock = cache() / "clusters" / ".current.demo.lock"  # no local cluster's name begins with a dot
        self._registry = registry
        self._environment = environment
        self.kubectl = "kubectl {}"

    @override
    def programs(self) -> None:
        if self._lacking():
            build(self._lacking())

    @override
    def cluster(self) -> None:
        context = self.client().kubectl("config", "current-context").strip()
        self.client().kubectl("get", "--raw", "/readyz", timeout=30)
        self.name = f"cluster of the current context {context}"

    @override
    def images(self) -> References:
        built = images.build((images.OPERATOR, images.WORKER, images.DEMO))
        del built[images.WORKER]  # its layers are in the demo's image
        pushed = images.push(built, self._registry)
        return References(pushed[images.OPERATOR], pushed[images.DEMO], CURRENT_REDIS)

    @override
    def client(self) -> Client:
        ours = [program for program in self._lacking() if PROGRAMS[program].built.exists()]
        path = search_path(*ours) if ours else self._environment.get("PATH", os.defpath)
        return Client(lambda line: line, {**self._environment, "PATH": path})

    def _lacking(self) -> list[str]:
        path = self._environment.get("PATH", os.defpath)
        return [program for name, program in _CLIENTS.items() if shutil.which(name, path=path) is None]


def chosen(environment: Mapping[str, str]) -> Target:
    """The target that CLUSTER and REGISTRY name; UsageError if they don't fit together."""
    cluster, registry = environment.get("CLUSTER") or "local", environment.get("REGISTRY") or ""
    if cluster == "local":
        if registry:
            raise UsageError("REGISTRY is for CLUSTER=current: the local cluster gets its images without a registry")
        return LocalCluster(ClusterPaths.current())
    if cluster != "current":
        raise UsageError(f"CLUSTER={cluster} is neither `local` (which is the default) nor `current`")
    if not registry or "/" not in registry.strip("/") or "://" in registry:
        raise UsageError(
            "CLUSTER=current needs REGISTRY=host/path: a registry that you may push to and the cluster may pull from, "
            "such as `make demo CLUSTER=current REGISTRY=registry.example/team`. It also needs a kubeconfig whose "
            "current context may install the chart (custom resources, cluster roles, an admission policy)."
        )
    return CurrentCluster(registry.strip("/"), environment)
