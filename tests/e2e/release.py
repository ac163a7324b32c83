"""The operator on the cluster: its Helm release, and its pods."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.paths import ROOT
from tests.e2e import processes
from tests.e2e.kubernetes import apply, get, kubectl, run, told, wait_until

NAMESPACE = "pynenc-system"
RELEASE = "pynenc-operator"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
PODS = ("-n", NAMESPACE, "-l", f"app.kubernetes.io/name={RELEASE}")
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def create_namespace(name: str) -> None:
    """A namespace that enforces the restricted Pod Security level."""
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})


def install() -> None:
    """Install the chart with the images of this checkout, and wait until the operator is ready."""
    create_namespace(NAMESPACE)
    earlier = run("helm", "list", "-n", NAMESPACE, "-q").split()
    try:
        run(
            *("helm", "upgrade", "--install", RELEASE, str(ROOT / "charts" / "pynenc-operator"), "-n", NAMESPACE),
            *("--set", "image.repository=localhost/pynenc-operator", "--set", "image.tag=dev"),
        )
        if RELEASE in earlier:  # the tag stays the same, and another image may be behind it now
            kubectl("rollout", "restart", f"deployment/{RELEASE}", "-n", NAMESPACE)
        kubectl("rollout", "status", f"deployment/{RELEASE}", "-n", NAMESPACE, "--timeout=90s")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{diagnosis()}") from error


def uninstall() -> None:
    run("helm", "uninstall", RELEASE, "-n", NAMESPACE, "--wait")


def pods() -> set[str]:
    return {pod["metadata"]["uid"] for pod in get("pods", *PODS)["items"]}


def kill() -> None:
    """Take the operator's pods away at once, as a node that fails would."""
    kubectl("delete", "pod", *PODS, "--grace-period=0", "--force")


def sigkill() -> None:
    """Kill the operator's process; the kubelet starts its container again."""
    [pod] = get("pods", *PODS)["items"]
    processes.send(pod["metadata"]["uid"], "pynenc_operator", signal.SIGKILL)


@contextmanager
def away() -> Iterator[None]:
    """No operator runs; afterwards it is back and ready."""
    deployment = ("-n", NAMESPACE, f"deployment/{RELEASE}")
    kubectl("scale", *deployment, "--replicas=0")
    try:
        wait_until(lambda: not get("pods", *PODS)["items"], "no operator is left")
        yield
    finally:
        kubectl("scale", *deployment, "--replicas=1")
        kubectl("rollout", "status", *deployment, "--timeout=90s")


@contextmanager
def second() -> Iterator[None]:
    """Another operator that leads as well, by a Lease of another name."""
    name, here = "another", ("-n", NAMESPACE)
    meta = {"name": name, "namespace": NAMESPACE}
    deployment = get("deployment", RELEASE, *here)
    spec = deployment["spec"]
    spec["selector"]["matchLabels"] = spec["template"]["metadata"]["labels"] = {"app": name}
    variables = spec["template"]["spec"]["containers"][0]["env"]
    next(one for one in variables if one["name"].endswith("LEASE_NAME"))["value"] = name
    rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "update"]}
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": RELEASE, "namespace": NAMESPACE}
    apply({"apiVersion": f"{group}/v1", "kind": "Role", "metadata": meta, "rules": [rule]}, NAMESPACE)
    binding = {"roleRef": {"apiGroup": group, "kind": "Role", "name": name}, "subjects": [subject]}
    apply({"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": meta, **binding}, NAMESPACE)
    apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}, NAMESPACE)
    try:
        kubectl("rollout", "status", f"deployment/{name}", *here, "--timeout=90s")
        wait_until(lambda: get("lease", name, *here)["spec"].get("holderIdentity"), "the second one leads")
        yield
    finally:
        kubectl("delete", f"deployment/{name}", f"role/{name}", f"rolebinding/{name}", *here)
        kubectl("wait", "--for=delete", "pod", "-l", f"app={name}", *here, "--timeout=60s")
        kubectl("delete", "lease", name, *here)


def diagnosis() -> str:
    return "\n".join(
        [
            told("kubectl", "get", "pods", "-o", "wide", *PODS),
            told("kubectl", "logs", *PODS, "--tail=80", "--prefix", "--all-containers"),
        ]
    )
