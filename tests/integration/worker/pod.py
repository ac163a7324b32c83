"""A real pod object of a real API server, with what the kubelet would mount into its container.

There is no kubelet, so the files are written here: the token that the API server gave for this pod, and the
downward API volume, which changes as the kubelet changes it, by a new folder and one rename.
"""

import itertools
import json
import shutil
from pathlib import Path

from pynenc_worker import contract
from tests.cluster.half_cluster import HalfCluster
from tests.integration.worker.kubernetes_api import KubernetesApi

ROLE = "pynenc-worker-under-test"


def grant(api: KubernetesApi, namespace: str) -> None:
    """Let the namespace's pods write their status, as the chart does."""
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]}
    api.request("POST", f"{rbac}/roles", {"metadata": {"name": ROLE}, "rules": [rule]})
    bind(api, namespace)


def bind(api: KubernetesApi, namespace: str) -> None:
    """Give the right; `unbind` takes it."""
    binding = {
        "metadata": {"name": ROLE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ROLE},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }
    api.request("POST", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", binding)


def unbind(api: KubernetesApi, namespace: str) -> None:
    """Take the right back."""
    api.request("DELETE", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings/{ROLE}")


class Pod:
    """One worker's pod."""

    def __init__(self, cluster: HalfCluster, api: KubernetesApi, namespace: str, name: str, folder: Path) -> None:
        self.name, self.namespace = name, namespace
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        container = {"name": "worker", "image": "worker"}
        created = api.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/pods",
            {"metadata": {"name": name}, "spec": {"containers": [container], "restartPolicy": "Never"}},
        )
        self.uid: str = created["metadata"]["uid"]
        self.serviceaccount = folder / "serviceaccount"
        self.serviceaccount.mkdir(parents=True)
        (self.serviceaccount / "token").write_text(cluster.create_token(namespace, "default", pod=name))
        shutil.copy(cluster.ca_file, self.serviceaccount / "ca.crt")
        self.podinfo = folder / "podinfo"
        self.podinfo.mkdir()
        self._versions = itertools.count(1)
        self.mount()
        selected = f"fieldSelector=metadata.name%3D{name}&resourceVersion={created['metadata']['resourceVersion']}"
        self._history = f"/api/v1/namespaces/{namespace}/pods?{selected}"

    def delete(self) -> None:
        """Delete it with a grace period. Without a kubelet only a finalizer keeps the object meanwhile."""
        self._api.request("PATCH", self._path, {"metadata": {"finalizers": ["pynenc.org/under-test"]}})
        self._api.request("DELETE", self._path)

    def annotations(self) -> dict[str, str]:
        """What stands on the pod now."""
        found: dict[str, str] = self._api.request("GET", self._path)["metadata"].get("annotations", {})
        return found

    def state(self) -> str:
        """What the worker says of itself."""
        return self.annotations().get(contract.WORKER_STATE, "")

    def said(self) -> list[str]:
        """Each worker-state that ever stood on the pod, one per write of the worker."""
        states, before = [], None
        for seen in self._api.history(self._history):
            annotations = seen["metadata"].get("annotations", {})
            written = {key: annotations.get(key) for key in contract.WORKER_WRITES}
            if written != before and written[contract.WORKER_STATE]:
                states.append(str(written[contract.WORKER_STATE]))
            before = written
        return states

    def request(self, key: str, value: str | None, *, mounted: bool = True) -> None:
        """Write an annotation as the operator does, and let the volume follow, unless the kubelet is late."""
        self._api.request("PATCH", f"{self._path}/status", {"metadata": {"annotations": {key: value}}})
        if mounted:
            self.mount()

    def mount(self) -> None:
        """Write the volume as the kubelet's AtomicWriter does: a folder per version, ..data moved to it."""
        version = self.podinfo / f"..version-{next(self._versions)}"
        version.mkdir()
        lines = (f"{key}={json.dumps(value)}" for key, value in sorted(self.annotations().items()))
        (version / "annotations").write_text("\n".join(lines))
        moving = self.podinfo / "..data_tmp"
        moving.symlink_to(version.name)
        moving.rename(self.podinfo / "..data")
        visible = self.podinfo / "annotations"
        if not visible.is_symlink():
            visible.symlink_to("..data/annotations")
