"""Where a runner's backend is: the URL that its spec holds, or names a Secret for.

A Secret is read once, again at resync, and while the backend refuses what it held or can't be reached there: a
rotated password or a moved server restarts nothing. Nothing of it is logged or reported.

What was read counts until something else has been read: a Secret that can't be read now, or is gone, or
holds no URL any more, says nothing against the URL that the running workers use too. That is logged once
and tried again. So deleting a Secret does not take the operator's access away; the backend has to refuse
the password. A runner whose Secret has never been read, or whose spec names another one, has no URL.
"""

import base64
import binascii
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Final

from pynenc_operator.backends import Backend, BackendKind, in_namespace
from pynenc_operator.kube import Kube, KubeError, NotFound
from pynenc_operator.model import Key
from pynenc_operator.mongourl import mongo_in_namespace

type Json = dict[str, Any]
# A runner's URLs are told apart by what they lead to: it has one of each kind at most.
type _Place = tuple[Key, BackendKind]

log = logging.getLogger(__name__)

# A refused password and a missing Secret are looked up again, but not with every count. An outage says less of the
# Secret and lasts longer, for every runner of the server: it costs half as many requests.
_YOUNGEST_SECONDS: Final = 10.0
_YOUNGEST_IN_OUTAGE_SECONDS: Final = 20.0
_EXAMPLES: Final = {
    BackendKind.REDIS: "redis://host:6379",
    BackendKind.RABBITMQ: "amqp://host:5672/vhost",
    BackendKind.MONGODB: "mongodb://host:27017",
}


class CredentialsError(Exception):
    """The Secret with a backend's URL can't be used; the text names it and what to do."""


@dataclass(slots=True)
class _Reading:
    """What came of reading a Secret: a URL, or in its place why there is none."""

    source: Json
    text: str = field(repr=False)
    read: float
    outdated: bool = False


class Credentials:
    """The backends of all runners."""

    def __init__(self, kube: Kube, *, sqlite_dir: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._sqlite_dir = PurePosixPath(sqlite_dir)  # where the operator has the volume of all SQLite files
        self._monotonic = monotonic
        self._urls: dict[_Place, _Reading] = {}
        self._failures: dict[_Place, _Reading] = {}  # none while the latest reading gave a URL

    async def backend(self, key: Key, runner: Json) -> Backend:
        """A runner's backend; CredentialsError if its Secret has never given a URL."""
        spec = runner["spec"]
        [(name, how)] = spec["backend"].items()
        kind, queues = BackendKind(name), tuple(spec.get("queues", ()))
        backend = Backend(kind, await self._url((key, kind), how), spec["appId"], queues)
        if kind is not BackendKind.RABBITMQ:
            return backend
        redis = await self._url((key, BackendKind.REDIS), how["redis"])
        store = Backend(BackendKind.REDIS, redis, spec["appId"])
        return replace(backend, queue=f"{how['queuePrefix']}_broker_messages", store=store)

    def refresh(self, key: Key, *, outage: bool = False) -> None:
        """Have a runner's Secret read again for the next count, unless it was read a moment ago."""
        youngest = _YOUNGEST_IN_OUTAGE_SECONDS if outage else _YOUNGEST_SECONDS
        for known in (self._urls.get((key, kind)) for kind in BackendKind):
            if known and self._monotonic() - known.read >= youngest:
                known.outdated = True

    def forget(self, key: Key) -> None:
        """Drop a runner that is gone."""
        for kind in BackendKind:
            self._urls.pop((key, kind), None)
            self._failures.pop((key, kind), None)

    def _is_old(self, read: float) -> bool:
        return self._monotonic() - read >= _YOUNGEST_SECONDS

    async def _url(self, place: _Place, how: Json) -> str:
        key, kind = place
        if kind is BackendKind.SQLITE:
            folder = self._sqlite_dir / key.namespace
            path = folder / how["path"]
            if not path.is_relative_to(folder) or ".." in path.parts:  # the schema allows neither: it may be another's
                raise CredentialsError("spec.backend.sqlite.path leads out of the folder of its namespace")
            return str(path)
        if "url" in how:
            return _reachable(how["url"], place, "spec.backend")
        return await self._url_of_secret(place, how)

    async def _url_of_secret(self, place: _Place, how: Json) -> str:
        known = self._urls.get(place)
        if known and known.source != how:
            known = None
        if known and not known.outdated:
            return known.text
        try:
            text = await self._read_again(place, how, known)
        except CredentialsError:
            if known is None:
                raise
            return known.text
        self._urls[place] = _Reading(how, text, self._monotonic())
        return text

    async def _read_again(self, place: _Place, how: Json, known: _Reading | None) -> str:
        """Read a Secret, unless that has failed a moment ago."""
        failure = self._failures.get(place)
        if failure and failure.source != how:
            failure = None
        if failure and not self._is_old(failure.read):
            raise CredentialsError(failure.text)
        try:
            text = await self._read_url(place, how)
        except CredentialsError as error:
            self._failures[place] = _Reading(how, str(error), self._monotonic())
            if known and failure is None:
                log.warning("%s/%s: %s; its queue is counted by the URL that was read before", *place[0], error)
            raise
        self._failures.pop(place, None)
        return text

    async def _read_url(self, place: _Place, how: Json) -> str:
        reference, namespace = how["urlFrom"]["secretKeyRef"], place[0].namespace
        text = await self._read_secret(namespace, **reference)
        return _reachable(text, place, f"Secret {namespace}/{reference['name']}")

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


def _reachable(url: str, place: _Place, where: str) -> str:
    """The URL as the operator can use it. What is wrong with it is not told: the parser's words hold parts of it."""
    key, kind = place
    try:
        address = (mongo_in_namespace if kind is BackendKind.MONGODB else in_namespace)(url, key.namespace)
    except ValueError:
        address = ""
    if not address:
        example = _EXAMPLES[kind]
        raise CredentialsError(f"{where} holds no URL: write {example}, special characters as %XX")
    return address
