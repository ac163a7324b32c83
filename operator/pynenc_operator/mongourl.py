"""A MongoDB URL: its hosts, its database, and the checks that it passes before it is used. Pure.

It may name several hosts, which `urllib` can't read; the options of a mongodb:// and of a mongodb+srv:// URL are the
same, and their names are told apart by no letter's case.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from pynenc_operator.backends import BrokerError, BrokerErrorKind, is_local, refused_as_local

DEFAULT_DATABASE: Final = "pynenc"  # pynenc-mongo's own
MOST_HOSTS: Final = 50  # what a replica set may have; each is watched in a thread
_SCHEMES: Final = frozenset({"mongodb", "mongodb+srv"})
# Options that say how to reach the server and who asks. Path options (certificates) would be the operator's files.
_OPTIONS: Final = frozenset(
    {
        "authmechanism",
        "authsource",
        "directconnection",
        "loadbalanced",
        "replicaset",
        "srvservicename",
        "ssl",
        "tls",
        "tlsallowinvalidcertificates",
        "tlsallowinvalidhostnames",
        "tlsinsecure",
    }
)
# Options that only tune a client, or say how much a write has to be worth: the workers' business.
_TUNING: Final = frozenset(
    {
        "appname",
        "compressors",
        "connecttimeoutms",
        "heartbeatfrequencyms",
        "journal",
        "localthresholdms",
        "maxconnecting",
        "maxidletimems",
        "maxpoolsize",
        "maxstalenessseconds",
        "minpoolsize",
        "readconcernlevel",
        "readpreference",
        "readpreferencetags",
        "retryreads",
        "retrywrites",
        "serverselectiontimeoutms",
        "sockettimeoutms",
        "srvmaxhosts",
        "uuidrepresentation",
        "w",
        "waitqueuetimeoutms",
        "wtimeoutms",
        "zlibcompressionlevel",
    }
)
# Those that need nothing but a user and a password: the others would show who the operator is (its cloud's identity,
# its pod's token, its files) to a server that somebody else has chosen.
_MECHANISMS: Final = frozenset({"DEFAULT", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"})
_HOST: Final = re.compile(
    r"^(?:\[(?P<ip>[0-9A-Fa-f:.]+(?:%25\w+)?)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>\d{1,5}))?$"
)
_IPV4: Final = re.compile(r"^[0-9.]+$")


def checked_mongo_url(url: str, *, allow_local: bool) -> str:
    """The URL without what only tunes a client; BrokerError if something in it isn't known."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise _refused("a MongoDB URL begins with mongodb:// or mongodb+srv://")
    _check_hosts(parts.netloc.rpartition("@")[2], allow_local=allow_local)
    kept = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name.lower() not in _OPTIONS | _TUNING:
            raise _refused(f"its URL has another option than {', '.join(sorted(_OPTIONS | _TUNING))}")
        if name.lower() == "authmechanism" and value.upper() not in _MECHANISMS:
            raise _refused(f"its URL has another authMechanism than {', '.join(sorted(_MECHANISMS))}")
        if name.lower() in _OPTIONS:
            kept.append((name, value))
    return urlunsplit(parts._replace(path=parts.path or "/", query=urlencode(kept), fragment=""))


def database_of(url: str) -> str:
    """The database that the URL names, or pynenc's own when it names none; BrokerError for what can't be one."""
    name = unquote(urlsplit(url).path.removeprefix("/"))
    if re.search(r'[/\\. "$*<>:|?\x00]', name):
        raise _refused("the path of a MongoDB URL is a database's name: mongodb://host:27017/pynenc")
    return name or DEFAULT_DATABASE


def mongo_in_namespace(url: str, namespace: str) -> str:
    """The URL as a pod of `namespace` means it: a bare host is the Service there. ValueError if it is none."""
    parts = urlsplit(url)
    credentials, at, hosts = parts.netloc.rpartition("@")
    if parts.scheme != "mongodb":  # a mongodb+srv:// URL names a domain
        return url
    named = ",".join(_in_namespace(host, namespace) for host in hosts.split(","))
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}{named}"))


def _in_namespace(host: str, namespace: str) -> str:
    name, colon, port = host.partition(":")
    if not name or "." in name or "[" in name or name == "localhost":
        return host
    return f"{name}.{namespace}.svc{colon}{port}"


def _check_hosts(hosts: str, *, allow_local: bool) -> None:
    """Each is a name or an address. Where a name leads is checked at every connection; an address, here already."""
    if hosts.count(",") >= MOST_HOSTS:
        raise _refused(f"its URL names more than {MOST_HOSTS} hosts: some of a replica set lead to the others")
    for host in hosts.split(","):
        found = _HOST.match(host)
        if not found:
            raise _refused(
                "its URL names no host that can be used: write mongodb://host:27017 or mongodb://a:27017,b:27017"
            )
        address = unquote(found["ip"] or "") or (found["name"] if _IPV4.match(found["name"] or "") else "")
        try:
            local = found["name"] == "localhost" or (address != "" and is_local(address))
        except ValueError:
            raise _refused("its URL has an address that is none: write mongodb://host:27017") from None
        if local and not allow_local:
            raise refused_as_local()


def _refused(words: str) -> BrokerError:
    return BrokerError(BrokerErrorKind.REFUSED, words)
