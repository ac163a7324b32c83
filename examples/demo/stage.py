"""The demo's namespace: what an earlier demo left is cleared, then the runner and the producer are applied."""

import time

from examples.demo.client import Client, Json
from examples.demo.operator_release import RESTRICTED
from pynenc_operator import labels
from tests.cluster.console import ClusterError

NAMESPACE = "demo"
PRODUCER = "producer"
RUNNER = "reports"
IN = ("--namespace", NAMESPACE)

_OURS = {labels.MANAGED_BY: "pynenc-demo"}  # a namespace `demo` of somebody else is left alone
_GONE_WITHIN = 90.0  # seconds
_READY_WITHIN = 120  # seconds


def open_namespace(client: Client) -> None:
    """Make the namespace `demo`, with the restricted Pod Security level; refuse one that is not the demo's."""
    found = client.get("namespace", NAMESPACE)
    if found and found["metadata"].get("labels", {}).get(labels.MANAGED_BY) != _OURS[labels.MANAGED_BY]:
        raise ClusterError(
            f"there is a namespace {NAMESPACE} that the demo has not made, and the demo deletes what it finds there: "
            f"remove it, or give it to the demo with `kubectl label namespace {NAMESPACE} "
            f"{labels.MANAGED_BY}={_OURS[labels.MANAGED_BY]}`"
        )
    meta = {"name": NAMESPACE, "labels": {**_OURS, **RESTRICTED}}
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})


def clear(client: Client) -> None:
    """Remove the runner, its pods and the producer of an earlier demo; return when they are gone.

    They are given a second: nobody waits for an earlier demo's tasks.
    """
    # Orphaned: else they would first be deleted with their own grace, which is an hour.
    client.kubectl(
        "delete", labels.PLURAL, "--all", *IN, "--cascade=orphan", f"--timeout={_READY_WITHIN}s", timeout=150
    )
    client.kubectl("delete", "job", PRODUCER, *IN, "--ignore-not-found", "--wait=false", "--cascade=background")
    selectors = (labels.ALL_WORKERS, f"{labels.APP_NAME}={PRODUCER}")
    deadline = time.monotonic() + _GONE_WITHIN
    # Once more after the last: the operator may just have been creating one when its runner was deleted.
    again = False
    while (left := [name for selector in selectors for name in _delete_pods(client, selector)]) or again:
        again = bool(left)
        if left and time.monotonic() > deadline:
            raise ClusterError(
                f"pods of an earlier demo are still there after {_GONE_WITHIN:.0f} s: {', '.join(left)}. "
                f"`kubectl describe pod --namespace {NAMESPACE}` says what they wait for"
            )
        time.sleep(0.5)


def _delete_pods(client: Client, selector: str) -> list[str]:
    found = client.kubectl("get", "pods", *IN, "--selector", selector, "-o", "name").split()
    if found:
        options = ("--grace-period=1", "--wait=false", "--ignore-not-found")
        client.kubectl("delete", *found, *IN, *options)
    return found


def apply_runner(client: Client, runner: Json) -> Json:
    """Apply the runner, and return it once the operator would serve its queue."""
    client.apply(runner, namespace=NAMESPACE)
    try:
        client.kubectl("wait", "--for=condition=Ready", f"{labels.PLURAL}/{RUNNER}", *IN, "--timeout=60s", timeout=90)
    except ClusterError as error:
        said = client.kubectl("get", labels.PLURAL, RUNNER, *IN, "-o", "yaml")
        raise ClusterError(f"the runner {RUNNER} did not become Ready: {error}\n{said}") from error
    found = client.get(labels.PLURAL, RUNNER, *IN)
    if found is None:
        raise ClusterError(f"the runner {RUNNER} in namespace {NAMESPACE} was deleted meanwhile: run the demo again")
    return found


def start_producer(client: Client, job: Json) -> None:
    """Start the Job that enqueues the load, and have it say what it sees until `end_producer`."""
    job["spec"]["template"]["spec"]["containers"][0]["command"].append("--stay")
    client.apply(job, namespace=NAMESPACE)


def end_producer(client: Client) -> None:
    """Delete the producer's Job; its pod goes with it."""
    client.kubectl("delete", "job", PRODUCER, *IN, "--ignore-not-found", "--wait=false")


def list_workers(client: Client) -> list[str]:
    """The names of the runner's pods, as the API server has them now."""
    answer = client.get("pods", *IN, "--selector", labels.workers_of(RUNNER))
    return [pod["metadata"]["name"] for pod in (answer or {}).get("items", ())]
