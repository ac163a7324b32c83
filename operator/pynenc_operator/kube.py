"""What the operator asks of the API server, by name. Objects are plain dictionaries, as the API has them.

Every method raises a KubeError (see `kube_errors`) within the deadline of a request.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from pynenc_operator import labels
from pynenc_operator.kube_call import CORE, DRY_RUN, Call, Query, Repeat, path_of, read
from pynenc_operator.kube_connection import DEADLINE_SECONDS, Connection
from pynenc_operator.kube_errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    OutdatedDefinition,
    Unavailable,
)
from pynenc_operator.kube_list import pages

__all__ = [
    "AlreadyExists",
    "Conflict",
    "Forbidden",
    "Invalid",
    "Kube",
    "KubeError",
    "NotFound",
    "OutdatedDefinition",
    "Unavailable",
]

type Json = dict[str, Any]

_MERGE: Final = "application/merge-patch+json"
_STRICT: Final = (("fieldValidation", "Strict"),)
_RUNNERS: Final = f"/apis/{labels.GROUP}/{labels.VERSION}"
_EVENT_SECONDS: Final = 3.0
_EVENTS: Final = "/apis/events.k8s.io/v1"
_LEASES: Final = "/apis/coordination.k8s.io/v1"
_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"


class Kube:
    """The API server. `may_write` is asked when a write is about to be sent: False makes it an Unavailable, unsent.

    It is how one that has lost its leadership, and doesn't know yet, does no more than it had begun.
    """

    def __init__(self, connection: Connection, may_write: Callable[[], bool] = lambda: True) -> None:
        self._connection = connection
        self._may_write = may_write

    async def list_pods(self, namespace: str, label_selector: str) -> list[Json]:
        """All pods that match, as they are now: no resourceVersion, so the answer is never a cached one."""
        return await self._list("pods", CORE, namespace, (("labelSelector", label_selector),))

    async def get_pod(self, namespace: str, name: str) -> Json:
        """One pod."""
        return await self._get("pods", CORE, namespace, name)

    async def create_pod(self, namespace: str, body: Json, *, dry_run: bool = False) -> Json:
        """Create a pod, or with `dry_run` only hear what admission and validation think of it."""
        return await self._create("pods", CORE, namespace, body, query=(DRY_RUN,) if dry_run else ())

    async def delete_pod(
        self, namespace: str, name: str, uid: str, resource_version: str, grace: int | None = None
    ) -> Json:
        """Delete a pod with its own grace period or `grace` seconds, if it still is what was seen; else Conflict."""
        body: Json = {"preconditions": {"uid": uid, "resourceVersion": resource_version}}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        return await self._write("delete", "DELETE", "pods", CORE, namespace, name, body, repeat=Repeat.ONCE)

    async def patch_pod_annotations(
        self, namespace: str, name: str, resource_version: str, annotations: Mapping[str, str | None]
    ) -> Json:
        """Set annotations, or remove those that are None, if the pod is still at `resource_version`.

        By way of `pods/status`, which keeps metadata and leaves the spec alone: that is all the right it takes.
        """
        body = {"metadata": {"resourceVersion": resource_version, "annotations": dict(annotations)}}
        return await self._patch("pods/status", CORE, namespace, name, body)

    async def list_runners(self, namespace: str | None) -> list[Json]:
        """All MultiThreadRunners of a namespace, or of all."""
        return await self._list(labels.PLURAL, _RUNNERS, namespace)

    async def patch_runner_status(self, namespace: str, name: str, status: Json, spec: Json) -> Json:
        """Merge `status` into a runner's status; a field that is None is removed.

        `spec`, as it was seen, is not written: a definition that would drop a field of it refuses the whole, where it
        would otherwise store the runner without that field. Such a refusal is an OutdatedDefinition.
        """
        body = {"spec": spec, "status": status}
        return await self._patch(f"{labels.PLURAL}/status", _RUNNERS, namespace, name, body, _STRICT)

    async def try_runner_fields(self, namespace: str, name: str, fields: Json) -> None:
        """Hear by a dry run whether the definition has these fields of a runner; OutdatedDefinition if it has not."""
        query = (*_STRICT, DRY_RUN)
        await self._patch(f"{labels.PLURAL}/status", _RUNNERS, namespace, name, fields, query)

    async def create_event(self, namespace: str, body: Json) -> Json:
        """Create an events.k8s.io/v1 Event; what makes one waits for it, and can do without."""
        return await self._create("events", _EVENTS, namespace, body, deadline=_EVENT_SECONDS)

    async def get_secret(self, namespace: str, name: str) -> Json:
        """One Secret; `data` is base64."""
        return await self._get("secrets", CORE, namespace, name)

    async def get_service_account(self, namespace: str, name: str) -> Json:
        """One ServiceAccount."""
        return await self._get("serviceaccounts", CORE, namespace, name)

    async def create_service_account(self, namespace: str, body: Json) -> Json:
        """Create a ServiceAccount."""
        return await self._create("serviceaccounts", CORE, namespace, body)

    async def get_role_binding(self, namespace: str, name: str) -> Json:
        """One RoleBinding."""
        return await self._get("rolebindings", _RBAC, namespace, name)

    async def create_role_binding(self, namespace: str, body: Json) -> Json:
        """Create a RoleBinding."""
        return await self._create("rolebindings", _RBAC, namespace, body)

    async def replace_role_binding(self, namespace: str, name: str, body: Json) -> Json:
        """Replace a RoleBinding, if it still has the body's resourceVersion."""
        return await self._write("update", "PUT", "rolebindings", _RBAC, namespace, name, body, repeat=Repeat.ONCE)

    async def get_lease(self, namespace: str, name: str, deadline: float) -> Json:
        """One Lease, or an error within `deadline` seconds."""
        return await self._get("leases", _LEASES, namespace, name, deadline)

    async def create_lease(self, namespace: str, body: Json, deadline: float) -> Json:
        """Create a Lease."""
        return await self._create("leases", _LEASES, namespace, body, deadline=deadline)

    async def replace_lease(self, namespace: str, name: str, body: Json, deadline: float) -> Json:
        """Replace a Lease, if it still has the body's resourceVersion."""
        return await self._write(
            "update", "PUT", "leases", _LEASES, namespace, name, body, repeat=Repeat.NEVER, deadline=deadline
        )

    async def served(self, group: str, version: str) -> set[str]:
        """The resources of an API group that the server offers at present: empty while it knows none of it."""
        groups = await self._connection.request(read("groups", "/apis", None, None))
        if all(offered["name"] != group for offered in groups["groups"]):
            return set()
        offers = await self._connection.request(read("groups", f"/apis/{group}/{version}", None, group))
        return {offer["name"] for offer in offers["resources"]}

    async def _list(self, resource: str, api: str, namespace: str | None, query: Query = ()) -> list[Json]:
        found: list[Json] = []
        async for page in pages(self._connection, resource, path_of(api, namespace, resource), namespace, query):
            found = page.items if page.first else found + page.items
        return found

    async def _get(
        self, resource: str, api: str, namespace: str, name: str, deadline: float = DEADLINE_SECONDS
    ) -> Json:
        call = read(resource, path_of(api, namespace, resource, name), namespace, name)
        return await self._connection.request(call, deadline)

    async def _create(
        self,
        resource: str,
        api: str,
        namespace: str,
        body: Json,
        *,
        query: Query = (),
        deadline: float = DEADLINE_SECONDS,
    ) -> Json:
        name = body["metadata"].get("name")
        call = Call("create", "POST", resource, path_of(api, namespace, resource), namespace, name, query, body)
        return await self._send(call, deadline)

    async def _patch(self, resource: str, api: str, namespace: str, name: str, body: Json, query: Query = ()) -> Json:
        kind, _, subresource = resource.partition("/")
        path = path_of(api, namespace, kind, name, subresource)
        return await self._send(
            Call("patch", "PATCH", resource, path, namespace, name, query, body, _MERGE, Repeat.ONCE), DEADLINE_SECONDS
        )

    async def _write(
        self,
        verb: str,
        method: str,
        resource: str,
        api: str,
        namespace: str,
        name: str,
        body: Json,
        *,
        repeat: Repeat,
        deadline: float = DEADLINE_SECONDS,
    ) -> Json:
        path = path_of(api, namespace, resource, name)
        return await self._send(Call(verb, method, resource, path, namespace, name, body=body, repeat=repeat), deadline)

    async def _send(self, call: Call, deadline: float) -> Json:
        if call.in_turn:
            return await self._connection.request_in_turn(call, deadline, partial(self._must_lead, call))
        self._must_lead(call)
        return await self._connection.request(call, deadline)

    def _must_lead(self, call: Call) -> None:
        if not self._may_write():
            raise call.without_answer("NotLeading", "this replica has lost the leadership; the leader will do it")
