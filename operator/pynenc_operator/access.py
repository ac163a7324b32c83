"""The rights of a namespace's workers: a ServiceAccount, and the workers' ClusterRole bound to it.

The binding is called like the role, so that two releases do not meet. Both are looked at when a runner
is first seen, when its template names another ServiceAccount, and at each resync, never in between; for
all runners of a namespace once a minute. They are owned by no runner: they survive it and the operator,
or the tokens of running pods would die with them.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from pynenc_operator import labels
from pynenc_operator.kube import AlreadyExists, Conflict, Kube, NotFound
from pynenc_operator.model import Key
from pynenc_operator.podspec import DEFAULT_SERVICE_ACCOUNT, service_account

type Json = dict[str, Any]

_RBAC_GROUP: Final = "rbac.authorization.k8s.io"


# What was in order is taken to be so for this long.
IN_ORDER_SECONDS: Final = 60.0


class Access:
    """Sees to it that a runner's pods may report of themselves."""

    def __init__(self, kube: Kube, worker_cluster_role: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._role = worker_cluster_role
        self._monotonic = monotonic
        self._in_order: dict[tuple[str, str], float] = {}  # since when, by namespace and account

    async def ensure(self, key: Key, runner: Json) -> None:
        """Make the default ServiceAccount unless the template names its own, and bind the role to it.

        :raises KubeError: the workers may have no right to report
        """
        account = service_account(runner["spec"])
        now = self._monotonic()
        self._in_order = {whose: at for whose, at in self._in_order.items() if now - at < IN_ORDER_SECONDS}
        if (key.namespace, account) in self._in_order:
            return
        if account == DEFAULT_SERVICE_ACCOUNT:
            await self._ensure_account(key.namespace)
        await self._ensure_binding(key.namespace, account)
        self._in_order[key.namespace, account] = now

    async def _ensure_account(self, namespace: str) -> None:
        try:
            await self._kube.get_service_account(namespace, DEFAULT_SERVICE_ACCOUNT)
        except NotFound:
            body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(DEFAULT_SERVICE_ACCOUNT)}
            try:
                await self._kube.create_service_account(namespace, body)
            except AlreadyExists:
                return  # another operator, or another runner of this namespace, was faster

    async def _ensure_binding(self, namespace: str, account: str) -> None:
        subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
        try:
            found = await self._kube.get_role_binding(namespace, self._role)
        except NotFound:
            await self._create_binding(namespace, subject)
            return
        subjects = found.get("subjects", [])
        if any(known["name"] == account and known.get("namespace") == namespace for known in subjects):
            return
        try:
            await self._kube.replace_role_binding(namespace, self._role, {**found, "subjects": [*subjects, subject]})
        except Conflict:
            await self._ensure_binding(namespace, account)

    async def _create_binding(self, namespace: str, subject: Json) -> None:
        body = {
            "apiVersion": f"{_RBAC_GROUP}/v1",
            "kind": "RoleBinding",
            "metadata": _metadata(self._role),
            "roleRef": {"apiGroup": _RBAC_GROUP, "kind": "ClusterRole", "name": self._role},
            "subjects": [subject],
        }
        try:
            await self._kube.create_role_binding(namespace, body)
        except AlreadyExists:
            await self._ensure_binding(namespace, subject["name"])


def _metadata(name: str) -> Json:
    return {"name": name, "labels": {labels.MANAGED_BY: labels.MANAGED_BY_US}}
