"""The users that docs/backends.md has for Redis, made as the page makes them."""

import re
from typing import Final

from tests.cluster.paths import ROOT
from tests.integration.redis_server import RedisServer

PAGE: Final = (ROOT / "docs" / "backends.md").read_text()
APP_ID: Final = "reports"  # as the page has it
PASSWORD: Final = "PASSWORD"
_LINE: Final = re.compile(r"^ACL SETUSER (?P<name>\S+) (?P<rules>.*)$", re.MULTILINE)


def _rules() -> list[str]:
    [line] = _LINE.finditer(PAGE)
    assert line["name"] == APP_ID
    return line["rules"].split()


def commands() -> set[str]:
    """The single commands that the page's user may call."""
    return {rule[1:].upper() for rule in _rules() if re.fullmatch(r"\+[a-z]+", rule)}


def operators() -> set[str]:
    """The commands that the operator calls, as the page has them."""
    [listed] = re.findall(
        r"^Of these the operator calls (.*?)[,;] and it writes nothing", PAGE, re.MULTILINE | re.DOTALL
    )
    return set(re.findall(r"`([A-Z]+)`", listed))


def groups() -> list[str]:
    """The rules on groups of commands."""
    return [rule for rule in _rules() if rule[1:2] == "@"]


def make_user(server: RedisServer, app_id: str = APP_ID, *, url: str | None = None) -> str:
    """Make the page's user for an app; the server's URL with it."""
    rules = [rule.replace(f":{APP_ID}", f":{app_id}") for rule in _rules()]
    return make(server, app_id, rules, url=url)


def make(server: RedisServer, name: str, rules: list[str], *, url: str | None = None) -> str:
    """Make a user by rules of ACL SETUSER; the server's URL with it."""
    assert server.command("ACL", "SETUSER", name, *rules) == "+OK"
    scheme, _, address = (url or server.url).partition("://")
    return f"{scheme}://{name}:{PASSWORD}@{address}"
