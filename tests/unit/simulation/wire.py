"""The way between an operator and the API server: requests that take time, get lost, or outlive their sender."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from pynenc_operator.kube import Kube
from pynenc_operator.kube_errors import KubeError, Unavailable
from tests.unit.simulation.apiserver import ApiServer
from tests.unit.simulation.run import Run

type Json = dict[str, Any]

DEADLINE_SECONDS = 5.0


class SimulatedKube(Kube):
    """What the reconciler asks of the API server, answered by the simulated one.

    A request that has been sent is carried out even if its operator has died since.
    """

    def __init__(self, run: Run, server: ApiServer, who: str, lost: float) -> None:
        self._run = run
        self._server = server
        self._who = who
        self._lost = lost  # the share of requests without an answer; half of them were carried out

    async def list_pods(self, namespace: str, label_selector: str) -> list[Json]:  # noqa: ARG002
        return await self._ask("list", lambda: self._server.list_pods(self._who))

    async def get_pod(self, namespace: str, name: str) -> Json:  # noqa: ARG002
        return await self._ask("get", lambda: self._server.get_pod(name))

    async def create_pod(self, namespace: str, body: Json, *, dry_run: bool = False) -> Json:  # noqa: ARG002
        if dry_run:
            return body
        return await self._ask("create", lambda: self._server.create_pod(body, self._who))

    async def delete_pod(
        self,
        namespace: str,  # noqa: ARG002
        name: str,
        uid: str,
        resource_version: str,
        grace: int | None = None,  # noqa: ARG002 - what never reported ends at once here
    ) -> Json:
        return await self._ask("delete", lambda: self._server.delete_pod(name, uid, resource_version, self._who))

    async def patch_pod_annotations(
        self,
        namespace: str,  # noqa: ARG002
        name: str,
        resource_version: str,
        annotations: Mapping[str, str | None],
    ) -> Json:
        changes = dict(annotations)
        return await self._ask("patch", lambda: self._server.annotate_pod(name, changes, self._who, resource_version))

    async def try_runner_fields(self, namespace: str, name: str, fields: Json) -> None:
        """The definition is this operator's."""

    async def patch_runner_status(self, namespace: str, name: str, status: Json, spec: Json) -> Json:  # noqa: ARG002
        return await self._ask("patch", lambda: self._server.patch_runner_status(status, self._who))

    async def create_event(self, namespace: str, body: Json) -> Json:  # noqa: ARG002
        return await self._ask("event", lambda: self._server.create_event(body, self._who))

    async def _ask[T](self, verb: str, deed: Callable[[], T]) -> T:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        lost = self._run.chance(self._lost)
        if not lost or self._run.chance(0.5):
            self._run.after(self._run.timing.request, self._serve, deed, None if lost else answer)
        if lost:
            await asyncio.sleep(DEADLINE_SECONDS)
            raise Unavailable("no answer", verb=verb, resource="pods")
        return await answer

    def _serve[T](self, deed: Callable[[], T], answer: asyncio.Future[T] | None) -> None:
        try:
            result = deed()
        except KubeError as error:
            if answer is not None:
                self._run.after(self._run.timing.request, _settle, answer, None, error)
        else:
            if answer is not None:
                self._run.after(self._run.timing.request, _settle, answer, result, None)


def _settle[T](answer: asyncio.Future[T], result: T, error: KubeError | None) -> None:
    if answer.done():
        return  # who asked has died
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
