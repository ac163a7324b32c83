"""One request to the API server: what it does, to what, and whether it may be sent twice."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from pynenc_operator.kube_errors import Invalid, Unavailable

type Json = dict[str, Any]
type Query = tuple[tuple[str, str], ...]

CORE: Final = "/api/v1"
_READS: Final = frozenset({"get", "list"})
_PODS: Final = frozenset({"pods", "pods/status"})
DRY_RUN: Final = ("dryRun", "All")

# What can be one segment of a path: the author of a runner chooses some names, and `../..` would lead elsewhere.
_NAME: Final = re.compile(r"(?!\.{1,2}$)[-._:A-Za-z0-9]+")


class Repeat(Enum):
    """Whether a request may be sent again when its fate is unknown. One that was refused always may."""

    READ = "read"  # as often as the deadline allows
    ONCE = "once"  # a write that does nothing the second time: it has preconditions, or is a merge
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Call:
    """One request: what it does, to what. `resource` is the plural, for errors and metrics."""

    verb: str  # as RBAC calls it
    method: str
    resource: str
    path: str
    namespace: str | None = None
    name: str | None = None
    query: Sequence[tuple[str, str]] = ()
    body: Json | None = None
    content_type: str = "application/json"
    repeat: Repeat = Repeat.NEVER

    def __post_init__(self) -> None:
        for named in (self.namespace, self.name):
            if named is not None and not _NAME.fullmatch(named):
                raise Invalid("no object can have this name", verb=self.verb, resource=self.resource, name=repr(named))

    @property
    def in_turn(self) -> bool:
        """Whether it waits for its turn among its like: a write to a pod, as there may be thousands of them."""
        return self.resource in _PODS and self.verb not in _READS and DRY_RUN not in self.query

    def without_answer(self, reason: str, message: str) -> Unavailable:
        """The error for one that was not sent, or whose fate is unknown."""
        return Unavailable(
            message, verb=self.verb, resource=self.resource, reason=reason, namespace=self.namespace, name=self.name
        )


def path_of(api: str, namespace: str | None, resource: str, name: str = "", subresource: str = "") -> str:
    """The path of an object or, without a name, of a collection; without a namespace that of all namespaces."""
    parts = [api, *(("namespaces", namespace) if namespace else ()), resource, name, subresource]
    return "/".join(part for part in parts if part)


def read(
    resource: str, path: str, namespace: str | None, name: str | None, query: Query = (), *, verb: str = "get"
) -> Call:
    """A request that changes nothing."""
    return Call(verb, "GET", resource, path, namespace, name, query, repeat=Repeat.READ)
