"""Servers that speak Redis' protocol and can't hold what pynenc-redis keeps: a Sentinel, a node of a Redis Cluster.

The plugin's client is redis-py's for one server: it asks no Sentinel which server takes writes, and follows no
Cluster's redirections. Such a server is known by how it refuses. Standard library only: the operator, which counts
queues, and the worker tell the same of it.
"""

from typing import Final

_MEND: Final = "name one server in the URL, or a name that always leads to the one that takes writes"
_CLUSTER: Final = f"its server is a node of a Redis Cluster, which pynenc-redis can't use: {_MEND}"
_SENTINEL: Final = (
    "its server lacks commands that are needed, as a Sentinel does, which pynenc-redis can't ask, and a Redis before "
    f"6.2: {_MEND}, and is of 6.2 or newer"
)
# By the names of redis-py's classes, so that the client has not to be there.
_OF_A_CLUSTER: Final = frozenset({"AskError", "ClusterCrossSlotError", "ClusterDownError", "MovedError"})
_OF_A_REPLICA: Final = "MasterDownError"  # a subclass of one of these: an outage, which ends


def of_a_cluster(error: BaseException) -> bool:
    """Whether only a node of a Redis Cluster refuses so."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & _OF_A_CLUSTER) and _OF_A_REPLICA not in names


def unsuitable(error: BaseException) -> str | None:
    """What to tell of an error that says so of its server: the mend is in it, and nothing of the error's own text."""
    if of_a_cluster(error):
        return _CLUSTER
    if type(error).__name__ == "ResponseError" and "unknown command" in str(error).lower():
        return _SENTINEL
    return None
