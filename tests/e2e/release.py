"""The operator on the cluster: its Helm release, and its pods."""

from tests.cluster.paths import ROOT
from tests.e2e.kubernetes import apply, get, kubectl, run, told

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


def diagnosis() -> str:
    return "\n".join(
        [
            told("kubectl", "get", "pods", "-o", "wide", *PODS),
            told("kubectl", "logs", *PODS, "--tail=80", "--prefix", "--all-containers"),
        ]
    )
