"""/healthz, /readyz and /metrics of the operator.

`/healthz` tells whether the operator gets on, not whether its process is there: the event loop has to
answer it, and what it asks (election, work queue) has to have moved lately. A backend or an API server
that is down is no reason for a restart.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

# What is wrong, or None. Asked at each probe.
type Check = Callable[[], str | None]

_UNHEALTHY: Final = 503


class HealthServer:
    """Serves probes and metrics until it is stopped."""

    def __init__(self, render: Callable[[], bytes], *, healthy: Check, ready: Check) -> None:
        """`render` makes the page of metrics, in Prometheus' text format; it is called in a thread."""
        self._render = render
        routes = web.Application()
        routes.router.add_get("/healthz", _probe(healthy))
        routes.router.add_get("/readyz", _probe(ready))
        routes.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(routes, access_log=None)

    async def start(self, address: str, port: int) -> int:
        """Listen; the port, which the system chooses for 0. OSError if it is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, address or None, port)
        await site.start()
        chosen: int = self._runner.addresses[0][1]
        return chosen

    async def stop(self) -> None:
        """Close all connections."""
        await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        # In a thread: many runners take a while to render, and others must be looked at meanwhile.
        body = await asyncio.to_thread(self._render)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _probe(check: Check) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        wrong = check()
        return web.Response(text=f"{wrong}\n", status=_UNHEALTHY) if wrong else web.Response(text="ok\n")

    return answer
