"""The operator on the cluster: its Helm release, and its pods."""

import contextlib
from collections.abc import Iterator

from tests.cluster.paths import ROOT
from tests.e2e.kubernetes import apply, get, kubectl, run, told, wait_until

NAMESPACE = "pynenc-system"
RELEASE = "pynenc-operator"
SECOND = "pynenc-second"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
PODS = ("-n", NAMESPACE, "-l", f"app.kubernetes.io/name={RELEASE}")
IMAGES = ("--set", "image.repository=localhost/pynenc-operator", "--set", "image.tag=dev")
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
            *IMAGES,
        )
        if RELEASE in earlier:  # the tag stays the same, and another image may be behind it now
            kubectl("rollout", "restart", f"deployment/{RELEASE}", "-n", NAMESPACE)
        kubectl("rollout", "status", f"deployment/{RELEASE}", "-n", NAMESPACE, "--timeout=90s")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{diagnosis()}") from error


def uninstall() -> None:
    run("helm", "uninstall", RELEASE, "-n", NAMESPACE, "--wait")


@contextlib.contextmanager
def away() -> Iterator[None]:
    """No operator runs meanwhile."""
    kubectl("scale", f"deployment/{RELEASE}", "-n", NAMESPACE, "--replicas=0")
    try:
        wait_until(lambda: pods() == set(), "no operator is left")
        yield
    finally:
        kubectl("scale", f"deployment/{RELEASE}", "-n", NAMESPACE, "--replicas=1")
        kubectl("rollout", "status", f"deployment/{RELEASE}", "-n", NAMESPACE, "--timeout=90s")


@contextlib.contextmanager
def second() -> Iterator[None]:
    """Another release beside the first, with a Lease of its own: both lead."""
    create_namespace(SECOND)
    values = (
        "--set",
        "image.repository=localhost/pynenc-operator",
        "--set",
        "image.tag=dev",
        "--set",
        "crds.enabled=false",
    )
    try:
        run("helm", "install", SECOND, str(ROOT / "charts" / "pynenc-operator"), "-n", SECOND, *values, "--wait")
        yield
    finally:
        run("helm", "uninstall", SECOND, "-n", SECOND, "--wait", "--ignore-not-found")
        kubectl("delete", "namespace", SECOND, "--wait=false")


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
