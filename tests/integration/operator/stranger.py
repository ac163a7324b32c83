"""The operator as users have it, and runners of somebody who is not trusted."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.conftest import runner
from tests.integration.operator.operator_process import Operator
from tests.integration.operator.rest import Api

type Json = dict[str, Any]


@contextmanager
def running(cluster: HalfCluster, namespace: str, folder: Path, **more: str) -> Iterator[Operator]:
    """The operator as users have it: local backends are not allowed."""
    cluster.kubectl("create", "clusterrole", "workers", "--verb=get", "--resource=pods", check=False)
    settings: dict[str, Any] = {"PYNENC_OPERATOR_ALLOW_LOCAL_BACKENDS": "false"} | more
    operator = Operator(cluster, namespace, folder, **settings)
    try:
        yield operator
    finally:
        operator.end()


def by_secret(api: Api, name: str, url: str, **spec: Any) -> None:
    """A runner whose URL no schema has looked at."""
    secrets = api.pods.replace("/pods", "/secrets")
    body: Json = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"url": url}}
    assert api.ask("POST", secrets, body)[0] == 201
    backend = {"redis": {"urlFrom": {"secretKeyRef": {"name": name, "key": "url"}}}}
    assert api.ask("POST", api.runners, runner(name, backend=backend, appId=name, **spec))[0] == 201


def reachable(api: Api, name: str) -> str:
    """The reason of a runner's condition BrokerReachable; empty before there is one."""
    found = api.runner(name).get("status", {}).get("conditions", ())
    return next((str(each["reason"]) for each in found if each["type"] == "BrokerReachable"), "")
