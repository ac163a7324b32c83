"""A MongoDB URL, as far as the worker reads it itself: it may name several hosts, which `urllib` can't read."""

import re
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from pynenc_worker.config import ConfigError

DEFAULT_DATABASE: Final = "pynenc"  # pynenc-mongo's own
NO_URL: Final = (
    "the backend's URL can't be used: it has to look like mongodb://user:password@host:27017/pynenc, with special "
    "characters in user and password as %XX"
)
# Options that hold what nobody is to be told.
_SECRET_OPTIONS: Final = frozenset({"authmechanismproperties", "tlscertificatekeyfilepassword"})
_HOST: Final = r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?"
_HOSTS: Final = re.compile(rf"{_HOST}(,{_HOST})*")
_DATABASE: Final = re.compile(r'/?[^/\\. "$@]*')


def without_credentials(url: str) -> str:
    """The URL with user and password left out, wherever they stand.

    :raises ConfigError: it is no URL; a parser's own words would tell parts of it
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError(NO_URL) from None
    address = parts.netloc.rpartition("@")[2]
    known = parts.scheme in ("mongodb", "mongodb+srv") and _HOSTS.fullmatch(address) and _DATABASE.fullmatch(parts.path)
    if not known:
        raise ConfigError(NO_URL)
    options = parse_qsl(parts.query, keep_blank_values=True)
    options = [option for option in options if option[0].lower() not in _SECRET_OPTIONS]
    return urlunsplit(parts._replace(netloc=address, path=parts.path or "/", query=urlencode(options), fragment=""))


def database_of(url: str) -> str:
    """The database that the URL leads to: the one that it names, or pynenc's own."""
    return unquote(urlsplit(url).path.strip("/")) or DEFAULT_DATABASE


def user_and_password(url: str) -> tuple[str, str]:
    """Both empty where it has none."""
    user, _, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    return unquote(user), unquote(password)
