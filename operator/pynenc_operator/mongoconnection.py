"""Connections to MongoDB: bounded in time, to no local address, and what its client's errors mean.

The client finds a replica set's members by itself and keeps watching them in threads of its own, whatever it is
asked: so the check of an address stands where every connection is made, and the client is shared by all apps of a URL.
Imported when the first runner needs it: the client takes a fifth of a second and some MB.
"""

import socket
import ssl
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pymongo
from dns.exception import DNSException
from pymongo import pool_shared
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)
from pymongo.synchronous.monitor import Monitor
from pymongo.synchronous.pool import Pool

from pynenc_operator.addresses import first, resolved
from pynenc_operator.backends import BrokerError, BrokerErrorKind, cause_of, refused_as_local
from pynenc_operator.mongourl import MOST_HOSTS

# For all that one question takes, finding a server and connecting to it included.
ANSWER_SECONDS: Final = 1.5
_CONNECT_SECONDS: Final = 1.0
# Unauthorized, AuthenticationFailed, and Atlas's own for both.
_AUTHENTICATION: Final = frozenset({13, 18, 8000})
# FailedToParse, CommandNotFound, InvalidOptions, CommandNotSupported, NotImplemented, and a stage that is unknown: of a
# server that speaks the protocol in part. All else, as a shard that is away, may pass.
_NOT_UNDERSTOOD: Final = frozenset({9, 59, 72, 115, 238, 40324})
_TIMEOUTS: Final = (NetworkTimeout, ExecutionTimeout, WaitQueueTimeoutError)

# Of the errors that a client keeps of its servers.
_causes: weakref.WeakKeyDictionary[BaseException, Exception | None] = weakref.WeakKeyDictionary()

type Client = pymongo.MongoClient[dict[str, Any]]

_thread = threading.local()
_create_connection = pool_shared._create_connection  # noqa: SLF001 - the one place where all connections are made


class _Telling(Pool):
    """A pool whose errors keep what they were raised from: the client has it in their text alone."""

    checks = False

    def connect(self, handler: Any = None) -> Any:  # noqa: ANN401 - the client's own
        _thread.checks, _thread.error = self.checks, None
        try:
            return super().connect(handler)
        except ConnectionFailure as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                _thread.error = ssl.SSLCertVerificationError()
            _causes[error] = _thread.error
            raise
        finally:
            _thread.checks = False


class _Checked(_Telling):
    """A pool whose connections lead to just the addresses that were checked."""

    checks = True


class _Bounded(Monitor):
    """Watches a server in a thread; not where there are more servers than can be: one may name any number of others."""

    def open(self) -> None:
        """Begin, or do nothing."""
        if len(self._topology._description.server_descriptions()) <= MOST_HOSTS:  # noqa: SLF001 - the client's own
            super().open()


def _create(address: Any, options: Any) -> socket.socket:  # noqa: ANN401 - the client's own
    """Connect, and note what was in the way."""
    try:
        return (_create_checked if getattr(_thread, "checks", False) else _create_connection)(address, options)
    except OSError as error:
        _thread.error = error
        raise


def _create_checked(address: Any, options: Any) -> socket.socket:  # noqa: ANN401 - the client's own
    """Resolve, check and connect in one step; the name stays what a certificate is compared with."""
    name, port = address
    if name.endswith(".sock"):
        raise refused_as_local()
    return first(resolved(name, port), lambda one: _create_connection((one, port), options))


pool_shared._create_connection = _create  # noqa: SLF001 - see above


def connect(url: str, *, allow_local: bool, connections: int) -> Client:
    """A client of a checked URL, with at most so many connections to each server. It connects when it is asked."""
    internal: dict[str, Any] = {"_pool_class": _Telling if allow_local else _Checked, "_monitor_class": _Bounded}
    answer = int(1000 * ANSWER_SECONDS)
    with told():
        return pymongo.MongoClient(
            url,
            appname="pynenc-operator",
            connect=False,
            connectTimeoutMS=int(1000 * _CONNECT_SECONDS),
            maxPoolSize=connections,
            retryReads=False,
            serverMonitoringMode="poll",  # one thread for each server, not two
            timeoutMS=answer,
            # Leaving the server has no part in the above: without these the client waits for half a minute or more.
            serverSelectionTimeoutMS=answer,
            socketTimeoutMS=answer,
            **internal,
        )


@contextmanager
def told(client: Client | None = None) -> Iterator[None]:
    """Turn the client's errors into the operator's own."""
    try:
        if client is not None:
            _refuse_local_members(client)
        yield
    except PyMongoError as error:
        if client is not None:
            _refuse_local_members(client)
        raise _broker_error(error, client) from None


def _refuse_local_members(client: Client) -> None:
    """Raise the refusal of any server that the client has met, at once: it waits for another to come."""
    for error in _errors_of_servers(client):
        if isinstance(error, BrokerError):
            raise BrokerError(error.kind, error.cause)


def _errors_of_servers(client: Client) -> list[Exception]:
    servers = client.topology_description.server_descriptions().values()
    return [server.error for server in servers if server.error is not None]


def _broker_error(error: PyMongoError, client: Client | None) -> BrokerError:
    if isinstance(error, ConfigurationError) and isinstance(error.__cause__, DNSException):
        name = type(error.__cause__).__name__
        return BrokerError(BrokerErrorKind.UNREACHABLE, f"{name}: its domain does not resolve")
    if isinstance(error, ConfigurationError):
        words = "an option of its URL has a value that the client does not know: check each of them"
        return BrokerError(BrokerErrorKind.REFUSED, words)
    if isinstance(error, ServerSelectionTimeoutError):
        return _no_server(_errors_of_servers(client) if client is not None else [])
    if isinstance(error, _TIMEOUTS):
        return BrokerError(BrokerErrorKind.TIMEOUT, cause_of(error))
    if isinstance(error, OperationFailure) and error.code in _AUTHENTICATION:
        return BrokerError(BrokerErrorKind.AUTHENTICATION, cause_of(error))
    if isinstance(error, OperationFailure) and error.code in _NOT_UNDERSTOOD:
        words = "the server does not know the question: use MongoDB, or what docs/backends.md says has been tried"
        return BrokerError(BrokerErrorKind.UNSUPPORTED, f"{words} ({cause_of(error)}, code {error.code})")
    if isinstance(error, OperationFailure):
        return BrokerError(BrokerErrorKind.UNREACHABLE, f"{cause_of(error)}, code {error.code}")
    return BrokerError(BrokerErrorKind.UNREACHABLE, cause_of(error))


def _no_server(errors: list[Exception]) -> BrokerError:
    """What kept the client from a server that takes writes: of several, one that says more than a missing answer."""
    known = [error for error in errors if not isinstance(error, NetworkTimeout)]
    if known:
        return BrokerError(BrokerErrorKind.UNREACHABLE, cause_of(_causes.get(known[0]) or known[0]))
    if errors:
        return BrokerError(BrokerErrorKind.TIMEOUT, cause_of(errors[0]))
    return BrokerError(BrokerErrorKind.UNREACHABLE, "ServerSelectionTimeoutError: no server of it takes writes now")
