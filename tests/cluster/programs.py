"""The cluster's programs, and more on demand: versions from their go.mod files, and where their builds are kept."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.console import ClusterError
from tests.cluster.paths import DEFINITIONS, cache


@dataclass(frozen=True)
class Program:
    """One Go module's commands, built together from the go.mod of the same name below programs/."""

    name: str
    module: str
    commands: dict[str, str]  # command name -> Go package
    stamps: tuple[str, ...] = ()  # linker variables; {version}, {major} and {minor} are filled in
    tags: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return DEFINITIONS / self.name

    @property
    def version(self) -> str:
        """The version that go.mod requires, without the v; 1 for a program whose source stands beside its go.mod."""
        found = re.search(rf"^(?:require)?\s*{re.escape(self.module)} v(\S+)", self._read("go.mod"), re.MULTILINE)
        return found[1] if found else "1"

    @property
    def flags(self) -> list[str]:
        """The build's flags. Kubernetes reads v0.0.0-master without its stamps, and clients refuse that."""
        major, minor = (*self.version.split("."), "0")[:2]
        stamps = [f"-X {s.format(version=self.version, major=major, minor=minor)}" for s in self.stamps]
        flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", " ".join(["-s -w", *stamps])]
        return [*flags, "-tags", ",".join(self.tags)] if self.tags else flags

    @property
    def key(self) -> str:
        """Names the build: another version, dependency or flag is another key."""
        inputs = [self._read(p.name) for p in sorted(self.folder.iterdir()) if p.suffix in {".mod", ".sum", ".go"}]
        digest = hashlib.sha256("\0".join([*inputs, *self.flags]).encode())
        return f"{self.name}-{self.version}-{digest.hexdigest()[:12]}"

    @property
    def built(self) -> Path:
        """The folder with its commands, once it is built."""
        return cache() / "programs" / self.key

    def _read(self, file: str) -> str:
        return (self.folder / file).read_text()


_KUBERNETES_VERSION = "k8s.io/component-base/version"
_CONTAINERD = "github.com/containerd/containerd/v2"
_KEDA = "github.com/kedacore/keda/v2"
_FERRETDB = "github.com/FerretDB/FerretDB"

PROGRAMS = {
    program.name: program
    for program in (
        Program("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"}),
        Program(
            "kubernetes",
            "k8s.io/kubernetes",
            {
                name: f"k8s.io/kubernetes/cmd/{name}"
                for name in (
                    "kube-apiserver",
                    "kubectl",
                    "kube-controller-manager",
                    "kube-scheduler",
                    "kube-proxy",
                    "kubelet",
                )
            },
            stamps=(
                f"{_KUBERNETES_VERSION}.gitVersion=v{{version}}",
                f"{_KUBERNETES_VERSION}.gitMajor={{major}}",
                f"{_KUBERNETES_VERSION}.gitMinor={{minor}}",
            ),
        ),
        Program(
            "helm",
            "helm.sh/helm/v4",
            {"helm": "helm.sh/helm/v4/cmd/helm"},
            stamps=("helm.sh/helm/v4/internal/version.version=v{version}",),
        ),
        Program(
            "containerd",
            _CONTAINERD,
            {name: f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")},
            stamps=(f"{_CONTAINERD}/version.Version={{version}}",),
            tags=("no_btrfs", "no_devmapper", "no_zfs"),
        ),
        Program("coredns", "github.com/coredns/coredns", {"coredns": "."}),
        Program("pause", "pynenc.org/cluster/programs/pause", {"pause": "."}),
    )
}
# No part of the cluster, and built by name only: what benchmarks measure against, nodes that only seem to be, and a
# server that speaks MongoDB's protocol, whose own is in no package registry.
ON_DEMAND = {
    program.name: program
    for program in (
        Program(
            "keda",
            _KEDA,
            {name: f"{_KEDA}/cmd/{name}" for name in ("operator", "adapter")},
            stamps=(f"{_KEDA}/version.Version={{version}}",),
        ),
        Program("kwok", "sigs.k8s.io/kwok", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"}),
        Program(
            "ferretdb",
            _FERRETDB,
            {"ferretdb": f"{_FERRETDB}/cmd/ferretdb"},
            # It stops at once when its build says which module it is of and its version.txt, which only its own build
            # makes, is missing. Without the former it calls its version unknown.
            stamps=("runtime.modinfo=",),
            tags=("ferretdb_no_postgresql",),
        ),
    )
}


def command(name: str) -> Path:
    """The path of a built command such as `kubectl`."""
    for program in (PROGRAMS | ON_DEMAND).values():
        if name in program.commands:
            path = program.built / name
            if not path.exists():
                raise ClusterError(
                    f"{name} is not built yet: run `python -m tests.cluster programs {program.name}` first"
                )
            return path
    raise KeyError(name)


def search_path(*programs: str) -> str:
    """A PATH with the commands of these programs (of the cluster's, without names) before the machine's own."""
    folders = [str(PROGRAMS[name].built) for name in programs or PROGRAMS]
    system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    inherited = os.environ.get("PATH", "").split(":")
    return ":".join(dict.fromkeys([*folders, *inherited, *system]))
