"""Where the tool keeps things: all of it outside the checkout, so that a clone stays clean and shares the builds."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.console import ClusterError

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = Path(__file__).resolve().parent / "programs"


def cache() -> Path:
    """The project's cache folder: PYNENC_OPERATOR_CACHE, or one below the home folder."""
    return Path(os.environ.get("PYNENC_OPERATOR_CACHE") or Path.home() / ".cache" / "pynenc-operator").absolute()


def cluster_name() -> str:
    """The name of the cluster to work on: PYNENC_CLUSTER, so that several can stand side by side."""
    name = os.environ.get("PYNENC_CLUSTER") or "pynenc-operator"
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?", name):
        raise ClusterError(
            f"PYNENC_CLUSTER={name!r} is no cluster name: use at most 32 lower-case letters, digits and dashes"
        )
    return name


@dataclass(frozen=True)
class ClusterPaths:
    """The files of one cluster. Everything below `state` goes with `down`; the lock beside it stays."""

    name: str

    @classmethod
    def current(cls) -> "ClusterPaths":
        """The paths of the cluster that the environment names."""
        return cls(cluster_name())

    @property
    def state(self) -> Path:
        return cache() / "clusters" / self.name

    @property
    def lock(self) -> Path:
        return cache() / "clusters" / f"{self.name}.lock"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.log"

    @property
    def init_record(self) -> Path:
        """Which process holds the cluster's namespaces."""
        return self.state / "init.json"

    @property
    def components(self) -> Path:
        """What the cluster's components are doing, written by its init process."""
        return self.state / "components.json"

    @property
    def wanted_back(self) -> Path:
        """A folder with a file for each component that has ended and is to be started again."""
        return self.state / "wanted-back"

    @property
    def versions(self) -> Path:
        """Which builds of the programs the cluster was started from."""
        return self.state / "versions"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "admin.kubeconfig"

    @property
    def resolv_conf(self) -> Path:
        return self.state / "resolv.conf"

    def node(self, name: str) -> Path:
        return self.state / "nodes" / name
