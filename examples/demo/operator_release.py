"""The operator's Helm release: installed, upgraded, and mended where an earlier demo was killed in the middle."""

from collections.abc import Mapping

from examples.demo.client import Client
from tests.cluster.console import ClusterError
from tests.cluster.paths import ROOT

CHART = ROOT / "charts" / "pynenc-operator"
NAMESPACE = "pynenc-system"
RELEASE = "pynenc-operator"
CRD = "crd/multithreadrunners.pynenc.org"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}

_READY_WITHIN = 120  # seconds


def open_namespace(client: Client) -> None:
    """Make the operator's namespace if there is none, with the restricted Pod Security level."""
    if client.get("namespace", NAMESPACE) is None:
        meta = {"name": NAMESPACE, "labels": RESTRICTED}
        client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})


def install(client: Client, image: str, values: Mapping[str, str]) -> None:
    """Install or upgrade the chart with this image and these values alone; return when the operator is ready."""
    open_namespace(client)
    _forget_unfinished(client)
    deployment = f"deployment/{RELEASE}"
    try:
        client.run(_upgrade(image, values), timeout=60)
        client.kubectl(
            *("rollout", "status", deployment, "--namespace", NAMESPACE, f"--timeout={_READY_WITHIN}s"),
            timeout=_READY_WITHIN + 30,
        )
        client.kubectl("wait", "--for=condition=Established", CRD, "--timeout=30s")
    except ClusterError as error:
        raise ClusterError(f"the operator is not ready: {error}\n{_why(client)}") from error


def _upgrade(image: str, values: Mapping[str, str]) -> list[str]:
    repository, _, tag = image.rpartition(":")
    settings = {"image.repository": repository, "image.tag": tag, **values}
    return [
        *("helm", "upgrade", "--install", RELEASE, str(CHART), "--namespace", NAMESPACE),
        *(word for name, value in settings.items() for word in ("--set-string", f"{name}={value}")),
    ]


def _forget_unfinished(client: Client) -> None:
    """Remove the note of a release that was interrupted: Helm refuses to go on while it stands.

    What was installed stays, and is adopted, since it carries the release's name.
    """
    for status in ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling"):
        selector = f"owner=helm,name={RELEASE},status={status}"
        client.kubectl("delete", "secret", "--namespace", NAMESPACE, "--selector", selector, "--ignore-not-found")


def _why(client: Client) -> str:
    """What the cluster says of the operator's pods, as far as it can still be asked."""
    selector = ("--namespace", NAMESPACE, "--selector", f"app.kubernetes.io/name={RELEASE}")
    told = []
    for question in (("get", "pods", "-o", "wide", *selector), ("logs", "--tail=15", "--prefix", *selector)):
        try:
            told.append(client.kubectl(*question, timeout=20).strip())
        except ClusterError as error:
            told.append(str(error))
    return "\n".join(told)
