"""What an amqp:// URL means, to the operator as to the worker. Standard library only.

The AMQP URI specification leaves much to each client, and pynenc takes no URL at all: so nothing is let through
that is not known here, and what is wrong is said without a word of the URL, which may hold a password.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

_PORTS: Final = {"amqp": 5672, "amqps": 5671}
# RabbitMQ's own name for it, of its URI query parameters; with TLS alone.
_VERIFY: Final = {"verify_peer": True, "verify_none": False}
_LONGEST: Final = 255  # bytes of a virtual host's name
# What RabbitMQ's clients, and pynenc's plugin, take where none is named.
_GUEST: Final = "guest"
_EXAMPLE: Final = "write amqp://host:5672/vhost, special characters as %XX"


class AmqpUrlError(ValueError):
    """A URL that can't be used; the text says why, and holds nothing of it."""


@dataclass(frozen=True, slots=True)
class AmqpUrl:
    """Where a RabbitMQ is, and who asks it."""

    host: str
    port: int
    tls: bool
    verify: bool  # the server's certificate and name; with TLS
    user: str
    password: str = field(repr=False)
    vhost: str


def parse_amqp_url(url: str) -> AmqpUrl:
    """Take a URL apart.

    :raises AmqpUrlError: something in it isn't known
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise AmqpUrlError(f"its URL is not one: {_EXAMPLE}") from None
    if parts.scheme not in _PORTS:
        raise AmqpUrlError("a RabbitMQ URL begins with amqp:// or amqps://")
    if not host or any(character.isspace() for character in host):
        raise AmqpUrlError(f"its URL names no host: {_EXAMPLE}")
    if parts.fragment:
        raise AmqpUrlError(f"its URL has a #: {_EXAMPLE}")
    tls = parts.scheme == "amqps"
    return AmqpUrl(
        host=host,
        port=port or _PORTS[parts.scheme],
        tls=tls,
        verify=_verify(parts, tls=tls),
        user=_GUEST if parts.username is None else unquote(parts.username),
        password=_GUEST if parts.username is None else unquote(parts.password or ""),
        vhost=_vhost(parts.path),
    )


def _vhost(path: str) -> str:
    """The path is one name; none at all, or /, is RabbitMQ's default."""
    name = unquote(path[1:]) or "/"
    if "/" in path[1:] or len(name.encode()) > _LONGEST:
        raise AmqpUrlError("the path of a RabbitMQ URL is one virtual host, and a / in its name is %2F")
    return name


def _verify(parts: SplitResult, *, tls: bool) -> bool:
    options = parse_qsl(parts.query, keep_blank_values=True)
    if any(name != "verify" or value not in _VERIFY for name, value in options):
        raise AmqpUrlError("its URL has another option than verify=verify_peer and verify=verify_none")
    if options and not tls:
        raise AmqpUrlError("verify in its URL is for amqps://")
    return all(_VERIFY[value] for _, value in options)
