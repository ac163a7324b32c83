"""The watch of worker pods: one for all runners, by label.

kopf watches the runners. Of pods there are thousands, and each changes whenever its worker gets work or ends it: what
kopf does for every event costs more than all that is done with it here.

Source: kubernetes.io, "Kubernetes API concepts": efficient detection of changes, watch bookmarks, 410 Gone.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec

from pynenc_operator import labels, watchtrace
from pynenc_operator.kube_answer import refusal
from pynenc_operator.kube_call import CORE, Call, Query, path_of, read
from pynenc_operator.kube_connection import Connection
from pynenc_operator.kube_errors import KubeError
from pynenc_operator.kube_list import pages
from pynenc_operator.model import Key
from pynenc_operator.podcache import PodCache

type Json = dict[str, Any]

log = logging.getLogger(__name__)

PODS: Final = "pods"
# Until it is begun again, by how often nothing has come of it in a row.
_PAUSES: Final = (0.1, 1.0, 1.0, 2.0, 3.0, 5.0)
_AT_A_TIME: Final = 20  # events that are taken in before others get their turn on the event loop
_SELECTED: Final[Query] = (("labelSelector", labels.ALL_WORKERS),)
_WATCHING: Final[Query] = (
    *(("watch", "true"), ("allowWatchBookmarks", "true")),
    ("timeoutSeconds", str(watchtrace.SERVER_SECONDS)),
)


class PodWatch:
    """Watches worker pods while `run` runs."""

    def __init__(
        self,
        connection: Connection,
        namespaces: Collection[str],
        pods: PodCache,
        now: Callable[[], float],
        on_change: Callable[[Key], object],
        on_watch: watchtrace.WatchHook,
        list_runners: Callable[[str | None], Awaitable[None]],
    ) -> None:
        """`namespaces`: none means all. `on_change` is told of runners whose pods have changed in what matters.

        `list_runners`, of a namespace or of all, is called before its pods are listed again: for a runner that is gone
        none is to be made anew.
        """
        self._connection = connection
        self._pods = pods
        self._now = now
        self._on_change = on_change
        self._on_watch = on_watch
        self._list_runners = list_runners
        self._places = [_Place(namespace) for namespace in namespaces or (None,)]

    async def run(self) -> None:
        """Watch until cancelled, whatever the API server does."""
        async with asyncio.TaskGroup() as group:
            for place in self._places:
                group.create_task(self._follow(place))

    async def listed(self, seconds: float) -> None:
        """Wait until all pods are known, for so long at most: those of one namespace may not be to be had."""
        waiting = [asyncio.create_task(place.listed.wait()) for place in self._places]
        _, late = await asyncio.wait(waiting, timeout=seconds)
        for task in late:
            task.cancel()

    async def _follow(self, place: "_Place") -> None:
        failures = 0
        while True:
            try:
                if not place.version or time.monotonic() - place.listed_at >= watchtrace.SERVER_SECONDS:
                    await self._list(place)
                failed = not await self._watch(place)
            except KubeError as error:
                failed = True
                log.warning("worker pods can't be watched, this is tried again: %s", error)
            failures = min(failures + 1, len(_PAUSES) - 1) if failed else 0
            await asyncio.sleep(_PAUSES[failures])

    async def _list(self, place: "_Place") -> None:
        """Take in all pods there are; what was known and is not among them is gone."""
        if place.listed.is_set():
            await self._list_runners(place.namespace)
        known, there = self._pods.known(place.namespace), dict[str, str]()
        async for page in pages(self._connection, PODS, place.path, place.namespace, _SELECTED):
            version = page.version
            if page.first:  # what came before is not part of it, and known by now
                known |= there
                there.clear()
            for number, pod in enumerate(page.items):
                there[pod["metadata"]["uid"]] = pod["metadata"]["resourceVersion"]
                self._tell(self._pods.apply_event({"type": None, "object": pod}, self._now()))
                if number % _AT_A_TIME == 0:
                    await asyncio.sleep(0)
        for key in self._pods.retain(place.namespace, known, set(there)):
            self._tell(key)
        place.version, place.listed_at = version, time.monotonic()
        place.listed.set()

    def _tell(self, key: Key | None) -> None:
        if key:
            self._on_change(key)

    async def _watch(self, place: "_Place") -> int:
        """Take in changes until the watch ends; how often anything came.

        The next one goes on from where it was, unless the server has forgotten that, or the list is old: what might
        have been missed does not stay for ever, however often watches are broken off.
        """
        began = time.monotonic()
        self._on_watch(PODS, restarted=watchtrace.broken_off(place.begun, began))
        place.begun = began
        try:
            answer = await self._connection.watch(place.call, watchtrace.SILENT_SECONDS)
        except KubeError as error:
            if error.status == HTTPStatus.GONE:
                place.version = ""
            raise
        came = 0
        try:
            async for line in _lines(answer.content):
                self._take(place, msgspec.json.decode(line))
                if not place.version:
                    break
                came += 1
                if came % _AT_A_TIME == 0:
                    await asyncio.sleep(0)
        except (aiohttp.ClientError, OSError, msgspec.DecodeError) as error:  # TimeoutError is an OSError
            log.info("the watch of worker pods has broken off: %s", type(error).__name__)
        finally:
            answer.close()
        return came

    def _take(self, place: "_Place", event: Json) -> None:
        kind, body = event["type"], event["object"]
        if kind == "ERROR":  # the last that comes: 410 Gone mostly, as what has changed since is forgotten
            place.version = ""
            if body.get("code") != HTTPStatus.GONE:
                raise refusal(place.call, body.get("code", 0), {}, body)
            return
        place.version = body["metadata"]["resourceVersion"]
        if kind != "BOOKMARK":
            self._tell(self._pods.apply_event(event, self._now()))


class _Place:
    """Where one watch is: in which namespace, or all of them, and at which version of what is there."""

    def __init__(self, namespace: str | None) -> None:
        self.namespace = namespace
        self.path = path_of(CORE, namespace, PODS)
        self.version = ""  # none: it has to be listed
        self.listed = asyncio.Event()
        self.listed_at = 0.0
        self.begun: float | None = None

    @property
    def call(self) -> Call:
        """The request for what has changed since that version."""
        query = (*_SELECTED, *_WATCHING, ("resourceVersion", self.version))
        return read(PODS, self.path, self.namespace, None, query, verb="watch")


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The lines of an answer, each as soon as it is whole."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
