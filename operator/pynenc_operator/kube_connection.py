"""Requests to the API server: one deadline each, retries only where they can do no harm.

Plain dictionaries through the generic client of `kubernetes.aio`: its models cost seconds for a large
list and refuse fields newer than themselves. The only module that imports `kubernetes`.
"""

import asyncio
import contextlib
import os
import random
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import ApiClient, Configuration

from pynenc_operator.clock import Clock
from pynenc_operator.kube_answer import parse, refusal
from pynenc_operator.kube_call import Call, Repeat
from pynenc_operator.kube_errors import KubeError
from pynenc_operator.writewindow import WriteWindow

type Json = dict[str, Any]
# verb, resource, HTTP status or what came instead of one, seconds
type RequestHook = Callable[[str, str, str, float], None]

DEADLINE_SECONDS: Final = 10.0  # of a request, its retries included
_CONNECT_SECONDS: Final = 3.0
_MOST_ATTEMPTS: Final = 4
_FIRST_PAUSE_SECONDS: Final = 0.2
_UNAUTHORIZED: Final = 401
_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500
_REDIRECTION: Final = 300
_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class ConfigurationError(Exception):
    """There is no way to the API server; the text says what to set."""


@dataclass(frozen=True, slots=True, repr=False)
class Login:
    """How the API server is reached, for those who keep a connection of their own."""

    server: str
    ca_file: str | None
    verify: bool
    token: str | None
    certificate_file: str | None
    key_file: str | None
    proxy: str | None


class Connection:
    """A pool of connections to the API server."""

    def __init__(
        self, configuration: Configuration, clock: Clock, on_request: RequestHook, *, relaxed_x509: bool = False
    ) -> None:
        configuration.disable_strict_ssl_verification = relaxed_x509
        self._configuration = configuration
        self._client = ApiClient(configuration)
        self._client.user_agent = "pynenc-operator"  # the API server makes the field manager of it
        self.clock = clock
        self._on_request = on_request
        self._writes = WriteWindow()

    @classmethod
    async def open(cls, clock: Clock, on_request: RequestHook, *, relaxed_x509: bool = False) -> Self:
        """Use the file(s) of KUBECONFIG if it is set, else the pod's ServiceAccount.

        `relaxed_x509` accepts a cluster CA without the key usage that Python demands since 3.13.
        """
        return cls(await _load_configuration(), clock, on_request, relaxed_x509=relaxed_x509)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def login(self) -> Login:
        """Present credentials; the token is read again when it is old."""
        settings = await self._configuration.auth_settings()
        bearer = settings.get("BearerToken")
        return Login(
            server=self._configuration.host,
            ca_file=self._configuration.ssl_ca_cert,
            verify=self._configuration.verify_ssl,
            token=str(bearer["value"]).split(" ", 1)[-1] if bearer else None,
            certificate_file=self._configuration.cert_file,
            key_file=self._configuration.key_file,
            proxy=self._configuration.proxy,
        )

    async def request(self, call: Call, deadline: float = DEADLINE_SECONDS) -> Json:
        """Send a request; the answer's object. KubeError if it comes to nothing within `deadline` seconds."""
        ends = self.clock.monotonic() + deadline
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            left = ends - self.clock.monotonic()
            try:
                return await self._attempt(call, left)
            except KubeError as error:
                if error.status == _TOO_MANY_REQUESTS:
                    self._writes.refused()
                wait = max(error.retry_after or 0.0, pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                if not _may_repeat(call, error, attempt) or self.clock.monotonic() + wait >= ends:
                    raise
                if error.status == _UNAUTHORIZED:
                    await self._read_token_again()
            await asyncio.sleep(wait)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    async def request_in_turn(self, call: Call, deadline: float, still: Callable[[], None]) -> Json:
        """The same for one that waits for its turn: once it has come, `still` may raise that it is too late."""
        async with self._writes.place():
            still()
            answer = await self.request(call, deadline)
            self._writes.taken()
            return answer

    async def _read_token_again(self) -> None:
        with contextlib.suppress(ConfigurationError):  # the refusal is what there is to tell
            self._configuration.api_key.update((await _load_configuration()).api_key)

    async def watch(self, call: Call, silent: float) -> aiohttp.ClientResponse:
        """Send a watch; its answer, to be read as it comes, and closed. It breaks when nothing comes for `silent` s.

        :raises KubeError: it was refused, or could not be sent
        """
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=silent)
        try:
            with self._accounted(call, silent) as account:
                answer = await self._open(call, limits)
                account.code = str(answer.status)
                if answer.status >= _REDIRECTION:
                    raise refusal(call, answer.status, answer.headers, parse(await answer.read()))
                response: aiohttp.ClientResponse = answer.response
                return response
        except KubeError as error:
            if error.status == _UNAUTHORIZED:
                await self._read_token_again()
            raise

    async def _attempt(self, call: Call, timeout: float) -> Json:  # noqa: ASYNC109 - aiohttp's, with its parts
        with self._accounted(call, timeout) as account:
            answer = await self._send(call, timeout)
            received = self.clock.monotonic()
            account.code = str(answer.status)
            self.clock.observe(answer.headers.get("Date"), account.sent, received)
            body = parse(answer.data)
            if answer.status >= _REDIRECTION:
                raise refusal(call, answer.status, answer.headers, body)
            return body

    @contextlib.contextmanager
    def _accounted(self, call: Call, patience: float) -> Iterator["_Account"]:
        """Tell of a request, and turn what kept it from being answered into a KubeError."""
        account = _Account(self.clock.monotonic())
        try:
            yield account
        except TimeoutError as error:
            account.code = "timeout"
            raise call.without_answer("Timeout", f"no answer within {patience:.1f} s") from error
        except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
            account.code = "connection"
            raise call.without_answer(type(error).__name__, str(error)) from error
        finally:
            self._on_request(call.verb, call.resource, account.code, self.clock.monotonic() - account.sent)

    async def _send(self, call: Call, timeout: float) -> Any:  # noqa: ANN401, ASYNC109 - untyped in the client
        answer = await self._open(call, aiohttp.ClientTimeout(total=max(timeout, 0.001), sock_connect=_CONNECT_SECONDS))
        await answer.read()
        return answer

    async def _open(self, call: Call, limits: aiohttp.ClientTimeout) -> Any:  # noqa: ANN401 - untyped in the client
        method, url, headers, body, _ = await self._client.param_serialize(
            method=call.method,
            resource_path=call.path,
            query_params=list(call.query),
            header_params={"Accept": "application/json", "Content-Type": call.content_type},
            body=call.body,
            auth_settings=["BearerToken"],
        )
        return await self._client.call_api(method, url, headers, body, _request_timeout=limits)


@dataclass(slots=True)
class _Account:
    """When a request was sent, and what came of it."""

    sent: float
    code: str = "none"


def _may_repeat(call: Call, error: KubeError, attempt: int) -> bool:
    if attempt == _MOST_ATTEMPTS:
        return False
    if error.status in {_UNAUTHORIZED, _TOO_MANY_REQUESTS} or isinstance(error.__cause__, aiohttp.ClientConnectorError):
        return attempt == 1 or call.repeat is Repeat.READ  # refused, or never sent: nothing was done
    if call.repeat is Repeat.READ:
        return error.status is None or error.status >= _SERVER_ERROR
    return call.repeat is Repeat.ONCE and attempt == 1 and error.status is None


async def _load_configuration() -> Configuration:
    configuration = Configuration()
    try:
        if os.environ.get("KUBECONFIG"):
            await kube_config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=os.environ["KUBECONFIG"], client_configuration=configuration
            )
        elif _SERVICE_ACCOUNT.exists():
            kube_config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        else:
            raise ConfigurationError(
                "no way to the Kubernetes API: outside a pod set KUBECONFIG to a kubeconfig file; "
                "in a pod mount the ServiceAccount's token (automountServiceAccountToken: true)"
            )
    except kube_config.ConfigException as error:
        raise ConfigurationError(f"the way to the Kubernetes API can't be read: {error}") from error
    return configuration
