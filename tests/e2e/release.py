"""A release of the chart on the cluster: installing it by Helm, and the pods of its operator."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.cluster.paths import ROOT
from tests.e2e import processes
from tests.e2e.kubernetes import Json, apply, get, kubectl, run, told, wait_until

CHART = str(ROOT / "charts" / "pynenc-operator")
IMAGE = ("image.repository=localhost/pynenc-operator", "image.tag=dev")
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def create_namespace(name: str) -> None:
    """A namespace that enforces the restricted Pod Security level."""
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})


@dataclass(frozen=True)
class Release:
    """One release, installed or not. Its name holds the chart's, so that the chart's objects are called like it."""

    name: str
    namespace: str

    @property
    def account(self) -> str:
        """The operator's user name."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    @property
    def workers(self) -> str:
        """The workers' ClusterRole and policy, and the RoleBindings that the operator makes."""
        return f"{self.name}-workers.{self.namespace}"

    @property
    def deployment(self) -> tuple[str, ...]:
        return ("-n", self.namespace, f"deployment/{self.name}")

    @property
    def _pods(self) -> tuple[str, ...]:
        labels = f"app.kubernetes.io/name=pynenc-operator,app.kubernetes.io/instance={self.name}"
        return ("-n", self.namespace, "-l", labels)

    def helm(self, *arguments: str) -> str:
        """Run helm in the release's namespace; what it prints."""
        return run("helm", *arguments, "-n", self.namespace)

    def install(self, *settings: str, chart: str = CHART, flags: tuple[str, ...] = ()) -> str:
        """Install or upgrade it, by default with the images of this checkout, and wait until it is ready: the notes."""
        create_namespace(self.namespace)
        earlier = self.helm("list", "-q").split()
        values = [f"--set={setting}" for setting in (*IMAGE, *settings)]
        try:
            notes = self.helm("upgrade", "--install", self.name, chart, *values, *flags)
            if self.name in earlier:  # the tag stays the same, and another image may be behind it now
                kubectl("rollout", "restart", *self.deployment)
            self.until_ready()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.diagnosis()}") from error
        return notes

    def until_ready(self) -> None:
        """Wait until all replicas of the newest version are ready, and no others are left."""
        kubectl("rollout", "status", *self.deployment, "--timeout=90s")

    def uninstall(self) -> None:
        """Uninstall it, and wait until none of its pods is left."""
        self.helm("uninstall", self.name, "--wait")
        wait_until(lambda: not self.pods(), "no operator is left")

    def pods(self) -> dict[str, Json]:
        """The operator's pods, by uid."""
        return {pod["metadata"]["uid"]: pod for pod in get("pods", *self._pods)["items"]}

    def leader(self) -> str:
        """The pod that holds the Lease, by name; empty if none does."""
        found = get("leases", "-n", self.namespace, "--field-selector", f"metadata.name={self.name}")["items"]
        return next((str(lease["spec"].get("holderIdentity") or "") for lease in found), "")

    def remove_by_force(self) -> None:
        """Take the operator's pods away at once, as a node that fails would."""
        kubectl("delete", "pod", *self._pods, "--grace-period=0", "--force")

    def remove_without_a_word(self, pod: str) -> None:
        """Take one pod away whose process has no time to give its Lease up."""
        processes.end(self._uid(pod))
        kubectl("delete", "pod", pod, "-n", self.namespace, "--grace-period=0", "--force")

    def signal(self, number: signal.Signals, pod: str = "") -> None:
        """Send a signal to the operator's process, in the named pod if there are several."""
        processes.send(self._uid(pod), "pynenc_operator", number)

    def _uid(self, pod: str) -> str:
        [uid] = [uid for uid, found in self.pods().items() if pod in {"", found["metadata"]["name"]}]
        return uid

    @contextmanager
    def away(self) -> Iterator[None]:
        """No operator runs; afterwards it is back and ready."""
        kubectl("scale", *self.deployment, "--replicas=0")
        try:
            wait_until(lambda: not self.pods(), "no operator is left")
            yield
        finally:
            kubectl("scale", *self.deployment, "--replicas=1")
            self.until_ready()

    def log(self) -> str:
        """What the operator's pods have written."""
        return kubectl("logs", *self._pods, "--tail=-1", "--prefix")

    def diagnosis(self) -> str:
        return "\n".join(
            [
                told("kubectl", "get", "pods", "-o", "wide", *self._pods),
                told("kubectl", "logs", *self._pods, "--tail=80", "--prefix", "--all-containers"),
            ]
        )


OPERATOR = Release("pynenc-operator", "pynenc-system")  # that all but the chart's own tests share


@contextmanager
def second() -> Iterator[None]:
    """Another operator beside OPERATOR that leads as well, by a Lease of another name."""
    name, here = "another", ("-n", OPERATOR.namespace)
    meta = {"name": name, "namespace": OPERATOR.namespace}
    deployment = get("deployment", OPERATOR.name, *here)
    spec = deployment["spec"]
    spec["selector"]["matchLabels"] = spec["template"]["metadata"]["labels"] = {"app": name}
    variables = spec["template"]["spec"]["containers"][0]["env"]
    next(one for one in variables if one["name"].endswith("LEASE_NAME"))["value"] = name
    rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "update"]}
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": OPERATOR.name, "namespace": OPERATOR.namespace}
    apply({"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta, "rules": [rule]}, OPERATOR.namespace)
    binding = {"roleRef": {"apiGroup": group, "kind": "Role", "name": name}, "subjects": [subject]}
    apply({"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": meta, **binding}, OPERATOR.namespace)
    apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}, OPERATOR.namespace)
    try:
        kubectl("rollout", "status", f"deployment/{name}", *here, "--timeout=90s")
        wait_until(lambda: get("lease", name, *here)["spec"].get("holderIdentity"), "the second one leads")
        yield
    finally:
        kubectl("delete", f"deployment/{name}", f"role/{name}", f"rolebinding/{name}", *here)
        kubectl("wait", "--for=delete", "pod", "-l", f"app={name}", *here, "--timeout=60s")
        kubectl("delete", "lease", name, *here)
