"""The coordination Lease as an object: who holds it, and what claiming or releasing it writes. Pure."""

from datetime import UTC, datetime
from typing import Any, Final

type Json = dict[str, Any]

RELEASED: Final = {"holderIdentity": "", "leaseDurationSeconds": 1}


def new(namespace: str, name: str, spec: Json) -> Json:
    """A Lease that does not exist yet."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def holder(lease: Json) -> str:
    """Who holds it; empty if nobody does."""
    return _spec(lease).get("holderIdentity") or ""


def duration(lease: Json, default: int) -> int:
    """For how many seconds it has to stand still until it is free; its holder says it."""
    return _spec(lease).get("leaseDurationSeconds") or default


def version(lease: Json) -> str:
    """What every write to it changes."""
    text: str = lease["metadata"]["resourceVersion"]
    return text


def changed(lease: Json, spec: Json) -> Json:
    """The Lease with the fields of `spec`, to replace it while nobody else has written to it."""
    return lease | {"spec": _spec(lease) | spec}


def claim(lease: Json | None, identity: str, seconds: int, now: float) -> Json:
    """The fields by which `identity` acquires it or renews it at `now` (Unix seconds)."""
    before = _spec(lease) if lease else {}
    time = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    claimed = {"holderIdentity": identity, "leaseDurationSeconds": seconds, "renewTime": time}
    if before.get("holderIdentity") != identity:
        transitions = before.get("leaseTransitions")
        claimed |= {"acquireTime": time, "leaseTransitions": 0 if transitions is None else transitions + 1}
    return claimed


def _spec(lease: Json) -> Json:
    return lease.get("spec") or {}
