"""Lists in pages: of thousands of objects only some are held at a time."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from pynenc_operator.kube_call import Query, read
from pynenc_operator.kube_connection import Connection
from pynenc_operator.kube_errors import KubeError

type Json = dict[str, Any]

LIST_LIMIT: Final = 500  # objects in one answer: about 2 MB of pods


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects of a list. `first`: what came before is not part of it."""

    items: list[Json]
    version: str  # of the whole list: what a watch goes on from
    first: bool


async def pages(
    connection: Connection, resource: str, path: str, namespace: str | None, query: Query = ()
) -> AsyncIterator[Page]:
    """All objects as they are now: no resourceVersion is asked for, so that no answer is a cached one.

    :raises KubeError: there is no list, or only a part of it
    """
    limit, token, first = LIST_LIMIT, "", True
    while True:
        page = (*query, *((("limit", str(limit)),) if limit else ()), *((("continue", token),) if token else ()))
        try:
            answer = await connection.request(read(resource, path, namespace, None, page, verb="list"))
        except KubeError as error:
            if error.status != HTTPStatus.GONE or not token:
                raise
            # The pages took longer than the server keeps old state: all over again, in one piece.
            limit, token, first = 0, "", True
            continue
        yield Page(answer["items"], answer["metadata"].get("resourceVersion", ""), first)
        token, first = answer["metadata"].get("continue", ""), False
        if not token:
            return
