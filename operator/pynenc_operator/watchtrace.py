"""What kopf asks of the API server: for metrics each of its requests, and watches that had to begin again.

aiohttp tells of its requests; kopf itself tells nobody that a watch broke. Where it could not go on from where it was
(410 Gone), kopf lists everything again, which names what there is, and of what has been deleted meanwhile it says
nothing: that is a gap.
"""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Final, Protocol

import aiohttp
from yarl import URL

from pynenc_operator import labels
from pynenc_operator.kube_connection import RequestHook

# The API server sends a bookmark every minute or so: a watch that brings nothing for longer is begun again.
SILENT_SECONDS: Final = 70.0
SERVER_SECONDS: Final = 300  # after which the API server ends a watch: a clean reconnect now and then
# One that ended earlier than this share of its time was broken off.
_ORDERLY_SHARE: Final = 0.9


class WatchHook(Protocol):
    """Told of a watch that begins, from kopf's thread."""

    def __call__(self, resource: str, *, restarted: bool) -> None:
        """`restarted`: the one before it did not last to its end."""


def broken_off(begun: float | None, now: float) -> bool:
    """Whether a watch that begins now takes the place of one that did not last to its end."""
    return begun is not None and now - begun < _ORDERLY_SHARE * SERVER_SECONDS


class WatchTrace:
    """Follows the requests of one kopf session after the other."""

    def __init__(
        self,
        on_request: RequestHook,
        on_watch: WatchHook,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        on_gap: Callable[[], object] = lambda: None,
    ) -> None:
        """`on_gap`: told, from kopf's thread, that a deletion may have been missed for good."""
        self._on_request = on_request
        self._on_watch = on_watch
        self._on_gap = on_gap
        self._monotonic = monotonic
        self._listed: set[str] = set()  # paths
        self._begun: dict[str, float] = {}  # when each path's watch last began

    def config(self) -> aiohttp.TraceConfig:
        """What an aiohttp session is to be made with."""
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._starts)
        trace.on_request_end.append(self._answered)
        trace.on_request_exception.append(self._failed)
        return trace

    async def _starts(
        self, _: aiohttp.ClientSession, context: SimpleNamespace, request: aiohttp.TraceRequestStartParams
    ) -> None:
        context.began = self._monotonic()
        context.verb, context.resource = what_is_asked(request.url)
        if context.verb == "watch":
            before = self._begun.get(request.url.path)
            self._on_watch(context.resource, restarted=broken_off(before, context.began))
            self._begun[request.url.path] = context.began

    async def _answered(
        self, _: aiohttp.ClientSession, context: SimpleNamespace, request: aiohttp.TraceRequestEndParams
    ) -> None:
        self._tell(context, str(request.response.status))
        if context.verb == "list" and request.response.ok and "continue" not in request.url.query:
            if request.url.path in self._listed:
                self._on_gap()
            self._listed.add(request.url.path)

    async def _failed(
        self, _: aiohttp.ClientSession, context: SimpleNamespace, request: aiohttp.TraceRequestExceptionParams
    ) -> None:
        self._tell(context, "timeout" if isinstance(request.exception, TimeoutError) else "connection")

    def _tell(self, context: SimpleNamespace, code: str) -> None:
        self._on_request(context.verb, context.resource, code, self._monotonic() - context.began)


def what_is_asked(url: URL) -> tuple[str, str]:
    """Verb and resource, as RBAC calls them; what is no resource is asked for to find out what the server offers."""
    if url.name != labels.PLURAL:
        return "get", "groups"
    return "watch" if url.query.get("watch") == "true" else "list", url.name
