"""A folder of one node with the SQLite files of several namespaces: what makes it and gives it to the pods. Pure.

A PersistentVolumeClaim belongs to one namespace. So each namespace, the operator's too, has a claim and a
PersistentVolume of its own, and all these volumes are the same folder; below it, each app's namespace has a folder of
its name. The pods with such a claim all run on that node, of however many nodes the cluster is.

Only root can give a folder to the user that the pods run as, and only at the Pod Security level `privileged` may a pod
name a folder of its node: a Job does it in a namespace of its own, to be deleted when it is done.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

type Json = dict[str, Any]

USER = 65532  # the chart's and the workers' default
HOSTNAME = "kubernetes.io/hostname"  # the label by which a volume names its node
_MOUNT = "/shared"
_MAKE = (
    'set -eu; rm -rf "$0"; '
    f'install -d -m 0700 -o {USER} -g {USER} "$0"; install -m 0600 -o {USER} -g {USER} /dev/null "$0/$1"'
)
_JOB_SECONDS = 120  # the image may have to be pulled
_SIZE = "1Gi"  # nothing holds a folder of a node to it


@dataclass(frozen=True)
class SharedFolder:
    """A folder of a node. Kubernetes deletes what is made for it with the namespace `owner`, but for the folder."""

    claim: str  # each namespace's claim is called so
    path: str  # on the node
    node: str  # its label HOSTNAME
    owner: Json = field(repr=False)  # a Namespace, as the API server has it

    @property
    def maker(self) -> str:
        """The namespace of the Jobs that make folders; it holds nothing else."""
        return f"{self.claim}-folders"

    def volume(self, namespace: str) -> tuple[Json, Json]:
        """The PersistentVolume and the claim by which this namespace has the folder."""
        access: Json = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
        name = volume_name(self.claim, namespace)
        on_node = {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": [self.node]}]}
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": self._meta(name),
            "spec": {
                **access,
                "capacity": {"storage": _SIZE},
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": namespace, "name": self.claim},
                "hostPath": {"path": self.path, "type": "DirectoryOrCreate"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [on_node]}},
            },
        }
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {**self._meta(self.claim), "namespace": namespace},
            "spec": {**access, "volumeName": name, "resources": {"requests": {"storage": _SIZE}}},
        }
        return volume, claim

    def making(self, namespace: str, file: str, image: str) -> tuple[Json, Json]:
        """The namespace `maker`, and in it the Job `namespace`, which makes that namespace's folder and an empty file.

        What an earlier one held is gone then. An empty file is a database without tables: the operator counts nothing
        in it, and pynenc makes what it needs. `image` has a shell and coreutils.
        """
        meta = self._meta(self.maker)
        maker = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {**meta, "labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
        }
        container = {
            "name": "folder",
            "image": image,
            "command": ["sh", "-c", _MAKE, f"{_MOUNT}/{namespace}", file],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"], "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"]},
            },
            "volumeMounts": [{"name": "shared", "mountPath": _MOUNT}],
        }
        pod = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "nodeSelector": {HOSTNAME: self.node},
            "securityContext": {"runAsUser": 0, "runAsGroup": 0, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [{"name": "shared", "hostPath": {"path": self.path, "type": "DirectoryOrCreate"}}],
        }
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": namespace, "namespace": self.maker},
            "spec": {"backoffLimit": 0, "activeDeadlineSeconds": _JOB_SECONDS, "template": {"spec": pod}},
        }
        return maker, job

    def is_usable(self, wanted: Json, found: Json | None) -> bool:
        """Whether a volume or claim of ours can be applied over what there is, if there is anything.

        It can't over one that goes, or goes with another namespace; nor over a volume that has lost its claim or the
        other way round; nor may a volume move to another node.
        """
        if found is None:
            return True
        meta = found["metadata"]
        return (
            "deletionTimestamp" not in meta
            and self.owner["metadata"]["uid"] in {owner["uid"] for owner in meta.get("ownerReferences", ())}
            and found.get("status", {}).get("phase") not in {"Released", "Failed", "Lost"}
            and found["spec"].get("nodeAffinity") == wanted["spec"].get("nodeAffinity")
        )

    def _meta(self, name: str) -> Json:
        of = {"apiVersion": "v1", "kind": "Namespace", **{key: self.owner["metadata"][key] for key in ("name", "uid")}}
        return {"name": name, "ownerReferences": [of]}


def volume_name(claim: str, namespace: str) -> str:
    """The name of a namespace's PersistentVolume: they are the whole cluster's."""
    return f"{claim}-{namespace}"


def choose_node(nodes: Iterable[Json]) -> str | None:
    """The label HOSTNAME of the first node, by name, that takes any pod; None if there is none."""
    usable = (node for node in nodes if _takes_pods(node))
    chosen = min(usable, key=lambda node: str(node["metadata"]["name"]), default=None)
    return None if chosen is None else str(chosen["metadata"]["labels"][HOSTNAME])


def _takes_pods(node: Json) -> bool:
    spec = node.get("spec", {})
    ready = {"type": "Ready", "status": "True"}.items()
    return (
        not spec.get("unschedulable")
        and not any(taint["effect"] in {"NoSchedule", "NoExecute"} for taint in spec.get("taints", ()))
        and any(ready <= condition.items() for condition in node.get("status", {}).get("conditions", ()))
        and HOSTNAME in node["metadata"].get("labels", {})
    )
