"""What an answer of the API server says: an object, or why there is none."""

from collections.abc import Mapping
from typing import Any

import msgspec

from pynenc_operator.kube_call import Call
from pynenc_operator.kube_errors import KubeError, from_answer

type Json = dict[str, Any]


def parse(data: bytes) -> Json:
    """The object of an answer; a proxy's page in its place is cut short into a message."""
    try:
        body = msgspec.json.decode(data)
    except msgspec.DecodeError:
        body = None
    return body if isinstance(body, dict) else {"message": data[:200].decode(errors="replace")}


def refusal(call: Call, status: int, headers: Mapping[str, str], body: Json) -> KubeError:
    """The error of a request that was answered by something else than success."""
    return from_answer(
        status,
        body,
        verb=call.verb,
        resource=call.resource,
        namespace=call.namespace,
        name=call.name,
        retry_after=_seconds(headers.get("Retry-After")),
    )


def _seconds(header: str | None) -> float | None:
    try:
        return float(header) if header else None
    except ValueError:
        return None
