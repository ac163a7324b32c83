"""Where the queues of an app stand in Redis. Standard library only: the operator reads the same keys.

A queue is a list of what has priority 0, first in, first out, and beside it a sorted set of all else. The list of the
queue `default` is pynenc-redis' own, so that producers and workers of pynenc 0.3 speak of the same one. `prefix` is
the plugin's for an app's broker, `__pynenc__:<app id>:broker:`. A queue's name holds no colon.
"""

from typing import Final

DEFAULT: Final = "default"
# More names than a resource may hold are not looked for: an app with a queue for each customer, perhaps.
MOST_QUEUES: Final = 64
_SEQUENCE_DIGITS: Final = 16


def listed(prefix: str, queue: str) -> str:
    """The list of what has priority 0, the next one first."""
    return f"{prefix}default_queue" if queue == DEFAULT else f"{prefix}queue:{queue}"


def prioritized(prefix: str, queue: str) -> str:
    """The sorted set of what has another priority, by its negative; each member is a sequence number and an id."""
    return f"{listed(prefix, queue)}:prioritized"


def sequence(prefix: str, queue: str) -> str:
    """The counter that puts those of one priority in the order they came."""
    return f"{listed(prefix, queue)}:sequence"


def names(prefix: str) -> str:
    """The set of the names of all queues that were ever routed to, but for `default`."""
    return f"{prefix}queues"


def number_of(member: bytes) -> int:
    """When it came, among those of the sorted set: a number that only grows."""
    return int(member[:_SEQUENCE_DIGITS])


def id_of(member: bytes) -> str:
    """The invocation's id of a member of the sorted set."""
    return member[_SEQUENCE_DIGITS + 1 :].decode()
