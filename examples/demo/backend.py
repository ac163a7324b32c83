"""Which backend the demo's queue is on: Redis, as the example files have it, or a SQLite file, without any server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, override

import yaml

from examples.demo import operator_release
from examples.demo.client import Client, Json
from examples.demo.sharedfolder import SharedFolder, choose_node, volume_name
from examples.demo.stage import IN, NAMESPACE
from examples.demo.target import References, UsageError
from pynenc_operator import labels
from tests.cluster.console import ClusterError

EXAMPLES = Path(__file__).resolve().parents[1]
CLAIM = "pynenc-demo"
# Of memory on nearly every node, and gone when the node restarts: `make demo` leaves no file on a disk.
FOLDER = "/run/pynenc-demo"
FILE = "pynenc.db"

_READY_WITHIN = 120  # seconds
_GONE_WITHIN = 60
_BOUND_WITHIN = 30
_MOUNT = "/var/lib/pynenc"  # in the producer


class Backend(Protocol):
    """What is different with another backend."""

    title: str
    chart_values: Mapping[str, str]

    def prepare(self, client: Client) -> None:
        """Make what has to be there before the operator is; the namespace `demo` is there."""

    def start(self, client: Client, references: References) -> None:
        """Make an empty queue, which the operator can count; no worker and no producer runs."""

    def remove(self, client: Client) -> None:
        """Delete what a demo on this backend has left, to make room for one on another."""

    def runner(self, image: str) -> Json:
        """examples/runner.yaml on this backend, with this image."""
        (runner,) = read("runner.yaml")
        runner["spec"]["image"] = image
        return runner

    def producer(self, image: str) -> Json:
        """examples/producer.yaml on this backend, with this image."""
        (job,) = read("producer.yaml")
        return with_image(job, image)


class Redis(Backend):
    """A Redis in the namespace `demo`."""

    title = "Redis"
    chart_values: Mapping[str, str] = {}

    @override
    def prepare(self, client: Client) -> None:
        pass

    @override
    def start(self, client: Client, references: References) -> None:
        parts = (with_image(part, references.redis) for part in read("redis.yaml"))
        client.apply(*parts, namespace=NAMESPACE)
        wait = f"--timeout={_READY_WITHIN}s"
        client.kubectl("rollout", "status", "deployment/redis", *IN, wait, timeout=_READY_WITHIN + 30)
        client.kubectl("exec", "deployment/redis", *IN, "--", "redis-cli", "flushall", timeout=30)

    @override
    def remove(self, client: Client) -> None:
        client.kubectl("delete", "deployment,service", "redis", *IN, "--ignore-not-found", "--wait=false")


class Sqlite(Backend):
    """A file in a folder of one node, which operator, workers and producer mount. It goes with the namespace `demo`."""

    title = "SQLite"
    chart_values: Mapping[str, str] = {"sqlite.existingClaim": CLAIM}

    @override
    def prepare(self, client: Client) -> None:
        operator_release.open_namespace(client)
        folder = _folder(client)
        for namespace in (operator_release.NAMESPACE, NAMESPACE):
            volume, claim = folder.volume(namespace)
            found = client.get("pv", volume["metadata"]["name"]), client.get("pvc", CLAIM, "--namespace", namespace)
            if not all(map(folder.is_usable, (volume, claim), found)):
                _delete_volume(client, namespace)
            client.apply(volume, claim, namespace=namespace)
        for namespace in (operator_release.NAMESPACE, NAMESPACE):
            bound = ("--for=jsonpath={.status.phase}=Bound", f"pvc/{CLAIM}", f"--timeout={_BOUND_WITHIN}s")
            client.kubectl("wait", *bound, "--namespace", namespace)

    @override
    def start(self, client: Client, references: References) -> None:
        folder = _folder(client)
        maker = ("namespace", folder.maker)
        # One that an interrupted demo has left, or that is still going.
        client.kubectl("delete", *maker, "--ignore-not-found", f"--timeout={_GONE_WITHIN}s", timeout=_GONE_WITHIN + 30)
        client.apply(*folder.making(NAMESPACE, FILE, references.demo), namespace=folder.maker)
        wait = ("--for=condition=Complete", f"job/{NAMESPACE}", f"--timeout={_READY_WITHIN}s")
        try:
            client.kubectl("wait", *wait, "--namespace", folder.maker, timeout=_READY_WITHIN + 30)
        except ClusterError as error:
            raise ClusterError(
                f"the folder {FOLDER} could not be made on node {folder.node}: {error}\n"
                f"`kubectl describe job,pod --namespace {folder.maker}` says more. Its pod has to run as root, "
                "at the Pod Security level privileged"
            ) from error
        client.kubectl("delete", *maker, "--wait=false")

    @override
    def remove(self, client: Client) -> None:
        for namespace in (operator_release.NAMESPACE, NAMESPACE):
            client.kubectl(*_deleting(namespace), "--wait=false")

    @override
    def runner(self, image: str) -> Json:
        runner = super().runner(image)
        runner["spec"]["backend"] = {"sqlite": {"claimName": CLAIM, "path": FILE}}
        return runner

    @override
    def producer(self, image: str) -> Json:
        job = super().producer(image)
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        container["env"] = [
            *(
                {**variable, "value": variable["value"].replace("Redis", "SQLite")}
                for variable in container["env"]
                if variable["name"] != "PYNENC__REDIS_URL"
            ),
            {"name": "PYNENC__SQLITE_DB_PATH", "value": f"{_MOUNT}/{FILE}"},
        ]
        container["volumeMounts"].append({"name": "queue", "mountPath": _MOUNT, "subPath": NAMESPACE})
        pod["volumes"].append({"name": "queue", "persistentVolumeClaim": {"claimName": CLAIM}})
        return job


BACKENDS = {"redis": Redis(), "sqlite": Sqlite()}


def chosen(environment: Mapping[str, str]) -> Backend:
    """The backend that BACKEND names; UsageError if there is none of that name."""
    name = environment.get("BACKEND") or "redis"
    if name not in BACKENDS:
        raise UsageError(f"BACKEND={name} is neither `redis` (which is the default) nor `sqlite`")
    return BACKENDS[name]


def others(than: Backend) -> list[Backend]:
    """All backends but this one."""
    return [backend for backend in BACKENDS.values() if backend is not than]


def read(file: str) -> list[Json]:
    """The objects of a file of examples/."""
    parts: list[Json] = list(yaml.safe_load_all((EXAMPLES / file).read_text()))
    return parts


def with_image(part: Json, image: str) -> Json:
    """The object with this image in its only container, if it has pods."""
    template: dict[str, Any] = part.get("spec", {}).get("template", {})
    for container in template.get("spec", {}).get("containers", ()):
        container["image"] = image
    return part


def _folder(client: Client) -> SharedFolder:
    """The folder, on a node that takes pods."""
    owner = client.get("namespace", NAMESPACE)
    if owner is None:
        raise ClusterError(f"the namespace {NAMESPACE} was deleted meanwhile: run the demo again")
    node = choose_node((client.get("nodes") or {}).get("items", ()))
    if node is None:
        raise ClusterError("there is no node that is Ready and takes any pod: `kubectl describe nodes` says why")
    return SharedFolder(CLAIM, FOLDER, node, owner)


def _deleting(namespace: str) -> tuple[str, ...]:
    """The kubectl command that deletes a namespace's claim and its volume."""
    what = (f"pvc/{CLAIM}", f"pv/{volume_name(CLAIM, namespace)}")
    return ("delete", *what, "--namespace", namespace, "--ignore-not-found")


def _delete_volume(client: Client, namespace: str) -> None:
    """Delete a namespace's claim and its volume, which can't be used any more; return when they are gone."""
    client.kubectl(*_deleting(namespace), "--wait=false")
    if namespace == operator_release.NAMESPACE:
        # A claim stays while a pod has it. The operator's next pod waits for the new one.
        selector = f"{labels.APP_NAME}={operator_release.RELEASE}"
        client.kubectl("delete", "pods", "--namespace", namespace, "--selector", selector, "--wait=false")
    client.kubectl(*_deleting(namespace), f"--timeout={_GONE_WITHIN}s", timeout=_GONE_WITHIN + 30)
