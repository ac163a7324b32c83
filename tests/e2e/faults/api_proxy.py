"""A way to the API server that is slow, refuses, or goes silent: a reverse proxy that understands HTTP.

It has the API server's own certificate, so that it is trusted where that is, and passes everything else on as it comes:
credentials, bodies, watch streams. Whoever is to go through it gets its address in the environment, see `environment`.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web
from yarl import URL

from tests.cluster.node import NODE
from tests.cluster.paths import ClusterPaths

type Json = dict[str, Any]

RETRY_AFTER_SECONDS = 1  # what a 429 asks for
_START_SECONDS = 20.0
_ANSWER_SECONDS = 60.0
# What belongs to one connection alone, or is made anew.
_OF_ONE_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "upgrade"})


@dataclass(frozen=True)
class Asked:
    """A request, as far as it says who is to be troubled."""

    method: str
    path: str
    agent: str
    watch: bool


type Which = Callable[[Asked], bool]


def everything(_: Asked) -> bool:
    return True


class ApiProxy:
    """A context manager. What it does to requests is told at any time, from any thread, and ends with `heal`."""

    def __init__(self, server: str, authority: Path, host: str, certificate: Path, key: Path) -> None:
        """`server`: the API server's URL; `host`: what to listen on; the certificate has to be for that address."""
        self._server, self._authority = server, authority
        self._host = host
        self._certificate, self._key = certificate, key
        self._delay = 0.0
        self._delayed: Which = everything
        self._refusals: Iterator[int] | None = None
        self._refused: Which = everything
        self._share = 0.0
        self._held: asyncio.Event | None = None
        self._streams: set[_Stream] = set()
        self._random = random.Random(6)  # noqa: S311 - which requests are refused
        self.done: Counter[str] = Counter()  # what was done how often: passed, delayed, or the status answered
        self.port = 0

    @classmethod
    def to_cluster(cls) -> Self:
        """To the API server of the cluster that this runs in, for its pods."""
        config = json.loads(Path(os.environ["KUBECONFIG"]).read_text())
        pki = ClusterPaths.current().pki
        certificate, key = pki / "kube-apiserver.crt", pki / "kube-apiserver.key"
        return cls(config["clusters"][0]["cluster"]["server"], pki / "ca.crt", NODE.ip, certificate, key)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(ready),), daemon=True)
        self._thread.start()
        assert ready.wait(_START_SECONDS), "the proxy does not listen"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(_START_SECONDS)
        self._loop.close()

    @property
    def environment(self) -> list[Json]:
        """What a container's environment has to say so that its process takes this way."""
        return [
            {"name": "KUBERNETES_SERVICE_HOST", "value": self._host},
            {"name": "KUBERNETES_SERVICE_PORT", "value": str(self.port)},
        ]

    def delay(self, seconds: float, which: Which = everything) -> None:
        """Every request waits so long before it is passed on, also if nobody waits for its answer any more."""
        self._delay, self._delayed = seconds, which

    def answer(self, *statuses: int, share: float = 1.0, which: Which = everything) -> None:
        """A share of the requests is not passed on, but answered with these statuses in turn."""
        self._share, self._refused = share, which
        self._refusals = itertools.cycle(statuses)

    def silence_watches(self) -> int:
        """Nothing comes on the watches that are open now, and they stay open; how many these are."""

        def silence() -> int:
            for stream in self._streams:
                stream.silent = True
            return len(self._streams)

        return self._in_loop(silence)

    def break_watches(self) -> int:
        """The watches that are open now are cut off; how many these are. New ones are held until `heal`."""

        def cut() -> int:
            self._held = asyncio.Event()
            for stream in self._streams:
                stream.cut()
            return len(self._streams)

        return self._in_loop(cut)

    def heal(self) -> None:
        """Pass everything on at once again; a watch that is silent stays so."""

        def pass_on() -> None:
            self._delay, self._refusals = 0.0, None
            if self._held:
                self._held.set()
            self._held = None

        self._in_loop(pass_on)

    def _in_loop[T](self, function: Callable[[], T]) -> T:
        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_START_SECONDS)

    async def _serve(self, ready: threading.Event) -> None:
        listening = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        listening.load_cert_chain(self._certificate, self._key)
        trusting = ssl.create_default_context(cafile=self._authority)
        connector = aiohttp.TCPConnector(limit=0, ssl=trusting)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._session:
            application = web.Application(client_max_size=2**24)
            application.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            try:
                site = web.TCPSite(runner, self._host, 0, ssl_context=listening)
                await site.start()
                self.port = runner.addresses[0][1]
                ready.set()
                await self._end.wait()
            finally:
                for stream in self._streams:
                    stream.cut()
                await runner.cleanup()
        await asyncio.sleep(0.3)  # TLS connections end after their sessions

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        agent = request.headers.get("User-Agent", "")
        asked = Asked(request.method, request.path, agent, request.query.get("watch") == "true")
        body = await request.read()
        if self._delay and self._delayed(asked):
            self.done["delayed"] += 1
            await asyncio.sleep(self._delay)
        if self._refusals and self._refused(asked) and self._random.random() < self._share:
            return self._refuse(next(self._refusals))
        if asked.watch and self._held:
            await self._held.wait()
        self.done["passed"] += 1
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_ONE_HOP}
        limits = aiohttp.ClientTimeout(total=None if asked.watch else _ANSWER_SECONDS)
        url = URL(f"{self._server}{request.raw_path}", encoded=True)
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body or None, timeout=limits, allow_redirects=False
            ) as answer:
                return await (self._stream(request, answer) if asked.watch else _whole(answer))
        except (aiohttp.ClientError, TimeoutError) as error:
            return web.json_response({"message": f"no way to the API server: {error}"}, status=502)

    def _refuse(self, status: int) -> web.Response:
        self.done[str(status)] += 1
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "as told", "code": status}
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == web.HTTPTooManyRequests.status_code else {}
        return web.json_response(body, status=status, headers=headers)

    async def _stream(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """Pass a watch on as it comes."""
        passed = web.StreamResponse(status=answer.status, headers=_headers(answer))
        await passed.prepare(request)
        stream = _Stream(request, answer)
        self._streams.add(stream)
        # Either side may have gone at any moment, and no more is to be said then.
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async for chunk in answer.content.iter_any():
                if not stream.silent:
                    await passed.write(chunk)
        self._streams.discard(stream)
        return passed


class _Stream:
    """A watch that is open."""

    def __init__(self, request: web.Request, answer: aiohttp.ClientResponse) -> None:
        self.silent = False
        self._request = request
        self._answer = answer

    def cut(self) -> None:
        if self._request.transport:
            self._request.transport.abort()
        self._answer.close()


async def _whole(answer: aiohttp.ClientResponse) -> web.Response:
    return web.Response(status=answer.status, headers=_headers(answer), body=await answer.read())


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.lower() not in _OF_ONE_HOP}
