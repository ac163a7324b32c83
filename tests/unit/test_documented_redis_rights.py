"""docs/backends.md's user of Redis may call what pynenc-redis and this project call, and no command more.

By their sources: a command that no test happens to reach is in them all the same.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pynenc_redis
import redis

from pynenc_worker import redis_backend, redis_queues
from tests.integration import redis_users

PLUGIN = sorted(Path(pynenc_redis.__file__).parent.rglob("*.py"))
OURS = [Path(str(module.__file__)) for module in (redis_backend, redis_queues)]
CLIENTS = {"client", "redis_client", "pipe", "pipeline"}  # as they call what commands are sent by
# Methods that send a command of another name, and those that send none.
NAMES = {"delete": "DEL", "incr": "INCRBY", "scan_iter": "SCAN"}
NO_COMMANDS = {"pipeline", "connection_pool", "execute"}
# For what neither workers nor the operator do; the page says so.
OF_PURGES = {"SCAN"}
TRANSACTION = {"MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH"}  # all that +@transaction holds


def called(path: Path) -> Iterator[str]:
    """The commands in a source: methods of a client or pipeline, and calls in its Lua scripts."""
    text = path.read_text()
    attributes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute))
    sent = {node.attr for node in attributes if ast.unparse(node.value).rpartition(".")[2] in CLIENTS} - NO_COMMANDS
    yield from (NAMES.get(name, name.upper()) for name in sent if callable(getattr(redis.Redis, name, None)))
    yield from re.findall(r"redis\.call\('([A-Z]+)'", text)


def test_the_users_commands_are_those_that_are_called() -> None:
    found = {command for path in (*PLUGIN, *OURS) for command in called(path)}
    assert len(found) > 25
    assert redis_users.commands() == (found | redis_users.operators()) - OF_PURGES - TRANSACTION


def test_its_groups_hold_what_concerns_its_own_connection_and_transactions() -> None:
    assert redis_users.groups() == ["-@all", "+@connection", "+@transaction", "-@admin", "-@dangerous"]
