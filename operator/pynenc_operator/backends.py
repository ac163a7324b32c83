"""Which backends the operator counts queues on, and the checks that a URL passes before it is used. Pure.

A MultiThreadRunner's author chooses the URL, the operator connects to it: so only what is known is
let through, and nothing that would lead to the operator's own pod or node.
"""

import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

# Options of a Redis URL that say how to reach the server. Path options (certificates) would be the operator's files.
_REDIS_OPTIONS: Final = frozenset({"client_name", "db", "protocol", "ssl_cert_reqs", "ssl_check_hostname"})
# Options that only tune a client: the workers' business; here they would lift the operator's own limits.
_REDIS_TUNING: Final = frozenset(
    {
        "health_check_interval",
        "max_connections",
        "retry_on_timeout",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_timeout",
        "timeout",
    }
)

# URLs of which it is remembered what they mean: it is asked at every look.
MOST_REMEMBERED: Final = 4096
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# A cloud's metadata service where it is not on a link-local address: Amazon's by IPv6.
_METADATA: Final = frozenset({ipaddress.IPv6Address("fd00:ec2::254")})

# By the names of an exception's class and its bases, so that no plugin has to be there.
_AUTHENTICATION: Final = frozenset({"AuthenticationError", "AuthenticationWrongNumberOfArgsError", "NoPermissionError"})
_TIMEOUTS: Final = frozenset({"TimeoutError"})
# What no class of a client's says by its name, from what it was raised from.
_CAUSES: Final = {
    "SSLCertVerificationError": "the operator does not trust its certificate, or it is not for this host name",
    "gaierror": "its host's name does not resolve",
}
_BUGS: Final = (TypeError, AttributeError, ImportError, NotImplementedError)
_ONE_SERVER: Final = (
    "pynenc-redis asks no Sentinel and follows no Cluster; name one server, or a name that always leads to the one "
    "that takes writes"
)


class BackendKind(StrEnum):
    """The field of `spec.backend` that is set."""

    REDIS = "redis"
    RABBITMQ = "rabbitmq"
    MONGODB = "mongodb"
    SQLITE = "sqlite"


@dataclass(frozen=True, slots=True)
class Backend:
    """Where one app's queue is. `url` may hold a password: it is in no repr. For SQLite it is a file's path."""

    kind: BackendKind
    url: str = field(repr=False)
    app_id: str
    queues: tuple[str, ...] = ()  # none named: all
    queue: str = ""  # its name where the app's id does not give it: on RabbitMQ
    store: "Backend | None" = None  # what holds all but the queue, where that is another one

    @property
    def rest(self) -> "Backend":
        """What holds all but the queue: states, results, heartbeats."""
        return self.store or self

    @property
    def server(self) -> str:
        """What answers or does not, for all apps, users and databases on it alike. Holds no password."""
        return _server(self.kind, self.url)

    @property
    def has_redis_queues(self) -> bool:
        """Whether its queues are keys of a Redis, which can be counted with others and listened to."""
        return self.kind is BackendKind.REDIS


@lru_cache(MOST_REMEMBERED)
def _server(kind: BackendKind, url: str) -> str:
    try:
        parts = urlsplit(url)
        if kind is BackendKind.MONGODB:  # of several hosts
            hosts = parts.netloc.rpartition("@")[2].lower().split(",")
            return f"{kind} {parts.scheme}://{','.join(sorted(hosts))}"
        address = f"{parts.scheme}://{parts.hostname}:{parts.port}" if parts.hostname else parts.path
    except ValueError:
        address = ""  # it will be refused
    return f"{kind} {address}"


class BrokerErrorKind(StrEnum):
    """Why a queue could not be counted; the reason of the runner's condition."""

    AUTHENTICATION = "AuthenticationFailed"
    UNREACHABLE = "Unreachable"
    TIMEOUT = "Timeout"
    REFUSED = "Refused"
    UNSUPPORTED = "Unsupported"
    OVERLOADED = "OperatorOverloaded"


_MENDS: Final = {
    BrokerErrorKind.AUTHENTICATION: "the backend refuses the credentials ({}): check the user and password in the "
    "Secret; a changed Secret is read again within seconds",
    BrokerErrorKind.UNREACHABLE: "the backend can't be reached ({}): check the host and port of its URL, that it "
    "runs, and that network policies let the operator in",
    BrokerErrorKind.TIMEOUT: "the backend does not answer in time ({}): check that network policies let the "
    "operator in, and the backend's load",
    BrokerErrorKind.REFUSED: "the operator does not connect: {}",
    BrokerErrorKind.UNSUPPORTED: "the operator can't count this queue: {}",
    BrokerErrorKind.OVERLOADED: "the operator can't count this queue now: {}",
}


# Another URL would change nothing, but where what answers at this one is at fault.
_NOT_OF_THE_URL: Final = frozenset({BrokerErrorKind.OVERLOADED, BrokerErrorKind.UNSUPPORTED})


class BrokerError(Exception):
    """A queue could not be counted. `cause` is an exception's class, never its text, or words of our own."""

    def __init__(self, kind: BrokerErrorKind, cause: str, *, of_server: bool = False) -> None:
        """`of_server`: the server at the URL is at fault, for good."""
        super().__init__(_MENDS[kind].format(cause))
        self.kind = kind
        self.cause = cause
        self.of_url = of_server or kind not in _NOT_OF_THE_URL  # another one could mend it


def kind_of(error: Exception) -> BrokerErrorKind:
    """What an exception of a plugin or its client stands for."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & _AUTHENTICATION:
        return BrokerErrorKind.AUTHENTICATION
    if names & _TIMEOUTS:
        return BrokerErrorKind.TIMEOUT
    return BrokerErrorKind.UNSUPPORTED if isinstance(error, _BUGS) else BrokerErrorKind.UNREACHABLE


def cause_of(error: Exception) -> str:
    """What to tell of an exception of a plugin or its client: its class, not its text, which may hold a URL."""
    told = type(error).__name__
    link: BaseException | None = error
    while link is not None:
        if words := _CAUSES.get(type(link).__name__):
            return f"{told}: {words}"
        link = link.__cause__ or link.__context__
    return told


@lru_cache(MOST_REMEMBERED)
def in_namespace(url: str, namespace: str) -> str:
    """The URL as a pod of `namespace` means it: a bare `redis` is the Service there, not the operator's neighbour."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or "." in host or ":" in host or host == "localhost":
        return url
    credentials, at, address = parts.netloc.rpartition("@")
    port = address[len(host) :]
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}{host}.{namespace}.svc{port}"))


def checked_redis_url(url: str) -> str:
    """The URL without what only tunes a client; BrokerError if something in it isn't known."""
    try:
        parts = urlsplit(url)
        several = "," in parts.netloc.rpartition("@")[2]
        host, _ = parts.hostname, None if several else parts.port
    except ValueError:
        raise _refused("its URL is not one: write redis://host:6379") from None
    if several:
        raise _refused(f"its URL names several hosts: {_ONE_SERVER}")
    if parts.scheme not in {"redis", "rediss"}:
        raise _refused(f"a Redis URL begins with redis:// or rediss://: {_ONE_SERVER}")
    if not host:
        raise _refused("its URL names no host: write redis://host:6379")
    if parts.path.strip("/") and not parts.path.strip("/").isdigit():
        raise _refused("the path of a Redis URL is the number of a database: redis://host:6379/0")
    options = parse_qsl(parts.query, keep_blank_values=True)
    for name, _ in options:
        if name not in _REDIS_OPTIONS | _REDIS_TUNING:
            raise _refused(f"its URL has another option than {', '.join(sorted(_REDIS_OPTIONS | _REDIS_TUNING))}")
    kept = urlencode([(name, value) for name, value in options if name in _REDIS_OPTIONS])
    return urlunsplit(parts._replace(query=kept, fragment=""))


def is_local(address: str) -> bool:
    """Whether an IP address leads to the operator's own pod or node, or to no one host.

    One that a gateway may translate into an IPv4 address counts as that one.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ()))
        if ip in _NAT64 or int(ip) >> 32 == 0:  # the latter is what was once an IPv4-compatible address
            embedded = (*embedded, ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        return _is_local(ip) or any(map(_is_local, filter(None, embedded)))
    return _is_local(ip)


def _is_local(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast or ip in _METADATA


def refused_as_local() -> BrokerError:
    """The error for a host that is local."""
    return _refused(
        "its host is a loopback or link-local address, which would be the operator's own pod or node: name the "
        "backend's Service, or install the operator with allowLocalBackends"
    )


def _refused(words: str) -> BrokerError:
    return BrokerError(BrokerErrorKind.REFUSED, words)
