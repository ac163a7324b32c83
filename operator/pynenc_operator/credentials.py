"""Where a runner's backend is: the URL that its spec holds, or names a Secret for.

A Secret is read once and again at resync, or when the backend refuses what it held: a rotated password
restarts nothing. Nothing of it is logged or reported.
"""

import base64
import binascii
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from pynenc_operator.backends import Backend, BackendKind, in_namespace
from pynenc_operator.kube import Kube, KubeError, NotFound
from pynenc_operator.model import Key

type Json = dict[str, Any]

# A refused password and a missing Secret are looked up again, but not with every count.
_YOUNGEST_SECONDS: Final = 10.0


class CredentialsError(Exception):
    """The Secret with a backend's URL can't be used; the text names it and what to do."""


@dataclass(frozen=True, slots=True)
class _Url:
    """What came of reading a Secret: a URL, or in its place why there is none."""

    source: Json
    text: str
    read: float


class Credentials:
    """The backends of all runners."""

    def __init__(self, kube: Kube, *, sqlite_dir: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._sqlite_dir = PurePosixPath(sqlite_dir)  # where the operator has the volume of all SQLite files
        self._monotonic = monotonic
        self._urls: dict[Key, _Url] = {}
        self._failures: dict[Key, _Url] = {}

    async def backend(self, key: Key, runner: Json) -> Backend:
        """A runner's backend; CredentialsError if its Secret does not give a URL."""
        spec = runner["spec"]
        [(name, how)] = spec["backend"].items()
        kind = BackendKind(name)
        return Backend(kind, await self._url(key, kind, how), spec["appId"], tuple(spec.get("queues", ())))

    def refresh(self, key: Key) -> None:
        """Have a runner's Secret read again for the next count, unless it was read a moment ago."""
        known = self._urls.get(key)
        if known and self._is_old(known.read):
            del self._urls[key]

    def forget(self, key: Key) -> None:
        """Drop a runner that is gone."""
        self._urls.pop(key, None)
        self._failures.pop(key, None)

    def _is_old(self, read: float) -> bool:
        return self._monotonic() - read >= _YOUNGEST_SECONDS

    async def _url(self, key: Key, kind: BackendKind, how: Json) -> str:
        if kind is BackendKind.SQLITE:
            return str(self._sqlite_dir / key.namespace / how["path"])
        if "url" in how:
            return _reachable(how["url"], key.namespace, "spec.backend")
        known = self._urls.get(key)
        if known is None or known.source != how:
            failure = self._failures.get(key)
            if failure and failure.source == how and not self._is_old(failure.read):
                raise CredentialsError(failure.text)
            text = await self._read_again(key, how)
            known = self._urls[key] = _Url(how, text, self._monotonic())
        return known.text

    async def _read_again(self, key: Key, how: Json) -> str:
        try:
            reference = how["urlFrom"]["secretKeyRef"]
            text = await self._read_secret(key.namespace, **reference)
            return _reachable(text, key.namespace, f"Secret {key.namespace}/{reference['name']}")
        except CredentialsError as error:
            self._failures[key] = _Url(how, str(error), self._monotonic())
            raise

    async def _read_secret(self, namespace: str, name: str, key: str) -> str:
        where = f"Secret {namespace}/{name}"
        try:
            secret = await self._kube.get_secret(namespace, name)
        except NotFound:
            raise CredentialsError(
                f"{where} does not exist: create it with the backend's URL under the key {key}"
            ) from None
        except KubeError as error:
            raise CredentialsError(f"{where} can't be read now: {error}") from None
        data = secret.get("data") or {}
        if key not in data:
            raise CredentialsError(
                f"{where} has no key {key}: add it with the backend's URL, or name another key in spec.backend"
            )
        try:
            return base64.b64decode(data[key]).decode().strip()
        except (binascii.Error, UnicodeDecodeError):
            raise CredentialsError(f"{where} has no text under the key {key}: it has to be the backend's URL") from None


def _reachable(url: str, namespace: str, where: str) -> str:
    """The URL as the operator can use it. What is wrong with it is not told: the parser's words hold parts of it."""
    try:
        return in_namespace(url, namespace)
    except ValueError:
        raise CredentialsError(f"{where} holds no URL: write redis://host:6379, special characters as %XX") from None
