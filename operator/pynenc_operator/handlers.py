"""kopf as the watch layer: what it sees of runners and their pods is handed on, nothing else.

Only `on.event` handlers: kopf then writes nothing, neither finalizers nor annotations. It runs in a
thread and event loop of its own, because at its end it cancels every task of the loop it is in.
"""

import asyncio
import logging
import ssl
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Final, cast

import aiohttp
import kopf

from pynenc_operator import labels, watchtrace
from pynenc_operator.kube_connection import Login
from pynenc_operator.watchtrace import WatchTrace

type Json = dict[str, Any]
type OnEvent = Callable[[Json], None]

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 15.0
_LOGIN_SECONDS: Final = 30.0


class WatchEndedError(Exception):
    """kopf has given up; the log has its reason."""


class Watch:
    """Watches runners while `run` runs; events arrive in the loop that called it."""

    def __init__(
        self,
        *,
        login: Callable[[], Awaitable[Login]],
        on_runner: OnEvent,
        namespaces: Collection[str],
        relaxed_x509: bool,
        trace: WatchTrace,
    ) -> None:
        """`namespaces`: none means all."""
        self._login = login
        self._on_runner = on_runner
        self._namespaces = namespaces
        self._relaxed_x509 = relaxed_x509
        self._trace = trace

    async def run(self) -> None:
        """Watch until cancelled; WatchEndedError if kopf ends by itself."""
        loop = asyncio.get_running_loop()
        stop = threading.Event()
        ended = asyncio.Event()

        def watch() -> None:
            try:
                asyncio.run(self._watch(loop, stop))
            except Exception:
                log.exception("the watch has failed")
            finally:
                loop.call_soon_threadsafe(ended.set)

        thread = threading.Thread(target=watch, name="kopf", daemon=True)
        thread.start()
        try:
            await ended.wait()
        finally:
            stop.set()
            await asyncio.to_thread(thread.join, _STOP_SECONDS)
        raise WatchEndedError("the watch of the API server has ended by itself")

    async def _watch(self, loop: asyncio.AbstractEventLoop, stop: threading.Event) -> None:
        await kopf.operator(
            registry=self._registry(loop),
            settings=_settings(),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=stop,
        )

    def _registry(self, loop: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def log_in(**_: object) -> kopf.AiohttpSession:
            asked = asyncio.run_coroutine_threadsafe(_as_coroutine(self._login()), loop)
            return self._connection(await asyncio.wait_for(asyncio.wrap_future(asked), _LOGIN_SECONDS))

        @kopf.on.event(labels.GROUP, labels.VERSION, labels.PLURAL, registry=registry)
        async def runner_changed(event: Any, **_: object) -> None:  # noqa: ANN401
            loop.call_soon_threadsafe(self._on_runner, event)

        return registry

    def _connection(self, login: Login) -> kopf.AiohttpSession:
        """A session as kopf would make it, and traced; kopf closes it."""
        kind = _RelaxedConnection if self._relaxed_x509 else kopf.ConnectionInfo
        info = kind(
            server=login.server,
            ca_path=login.ca_file,
            insecure=not login.verify,
            token=login.token,
            certificate_path=login.certificate_file,
            private_key_path=login.key_file,
        )
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
            headers=info.as_http_headers(),
            proxy=login.proxy,
            trace_configs=[self._trace.config()],
        )
        return kopf.AiohttpSession(server=login.server, aiohttp_session=session)


class _RelaxedConnection(kopf.ConnectionInfo):
    """A connection that accepts a cluster CA without the key usage that Python demands since 3.13."""

    def as_ssl_context(self) -> ssl.SSLContext:
        context = super().as_ssl_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


class _NoEssence(kopf.DiffBaseStorage):
    """What kopf compares an object with to find out what has changed: nobody here asks, and it is a deep copy."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:  # noqa: ARG002
        return cast("kopf.BodyEssence", {})

    def fetch(self, *, body: kopf.Body) -> None:  # noqa: ARG002
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Store nothing: kopf is to write nothing."""


async def _as_coroutine[T](awaitable: Awaitable[T]) -> T:
    return await awaitable


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # no watching of definitions and namespaces: fewer rights
    settings.posting.enabled = False
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = watchtrace.SERVER_SECONDS
    settings.watching.inactivity_timeout = watchtrace.SILENT_SECONDS
    settings.watching.connect_timeout = 5
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = (1, 1, 2, 3, 5)
    # How long each object's last event is held, with a task: by default for 5 s, which after a list are all there are.
    settings.queueing.idle_timeout = IDLE_SECONDS
    settings.persistence.diffbase_storage = _NoEssence()
    settings.process.ultimate_exiting_timeout = None  # its end is no reason to kill this process
    return settings
