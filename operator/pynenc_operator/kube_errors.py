"""What can go wrong between the operator and the API server, by what has to be done about it."""

import re
from typing import Any, Final

# How RBAC says no; admission (Pod Security, a quota, a policy) says it otherwise.
_RBAC_DENIAL: Final = re.compile(r'User ".*" cannot \w+ ')
# How a write with fieldValidation=Strict is refused; the fields come last, after the object.
_STRICTLY: Final = "strict decoding error: "
_UNKNOWN_FIELD: Final = re.compile(r'unknown field "([^"]+)"')


class KubeError(Exception):
    """A request to the API server failed.

    `status` is the HTTP status, None if there was no answer; `reason` is the API's word for it
    ("Conflict", "AlreadyExists"), or the exception's class where there was no answer.
    """

    mend = ""

    def __init__(
        self,
        message: str,
        *,
        verb: str,
        resource: str,
        status: int | None = None,
        reason: str = "",
        namespace: str | None = None,
        name: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.verb = verb
        self.resource = resource
        self.status = status
        self.reason = reason
        self.namespace = namespace
        self.name = name
        self.retry_after = retry_after  # seconds, as the server asks for

    def __str__(self) -> str:
        target = "/".join(part for part in (self.resource, self.namespace, self.name) if part)
        cause = " ".join(str(part) for part in (self.status, self.reason) if part)
        mend = f" ({self.mend})" if self.mend else ""
        return f"{self.verb} {target}: {cause}: {self.message}{mend}"


class NotFound(KubeError):  # noqa: N818 - the API's own word
    """404: the object is gone, or its kind is not installed."""


class Conflict(KubeError):  # noqa: N818
    """409: the object is not any more what the request presumed; read it again."""


class AlreadyExists(KubeError):  # noqa: N818
    """409 of a create: the name is taken."""


class Forbidden(KubeError):  # noqa: N818
    """403: a right is missing, or admission refused (a quota, Pod Security, a policy)."""

    @property
    def quota(self) -> bool:
        """Whether a ResourceQuota is full: not wrong, only not now."""
        return "exceeded quota" in self.message

    @property
    def namespace_ends(self) -> bool:
        """Whether the namespace is being deleted: nothing can be made there any more."""
        return "because it is being terminated" in self.message

    @property
    def mend(self) -> str:  # type: ignore[override]
        """What to do where a right is missing; admission says itself what it wants."""
        if _RBAC_DENIAL.search(self.message):
            return "install the chart's RBAC rules again, or add this verb to the operator's role"
        return ""


class Invalid(KubeError):  # noqa: N818
    """422 or 400: the API server will never accept this object as it is."""


class OutdatedDefinition(Invalid):
    """422 of a strict write of a runner: the CustomResourceDefinition lacks fields that were sent, and would drop them.

    The server's own message holds the whole object, with what may be secret in it: only the fields' names are kept.
    """

    mend = (
        "nothing is done until it is this version's: crds.enabled=true in the chart, or kubectl apply --server-side "
        "--force-conflicts -f crds/multithreadrunners.pynenc.org.yaml"
    )


class Unavailable(KubeError):  # noqa: N818
    """No answer in time, no connection, 429 or 5xx: it may be otherwise in a while.

    Whether a write took effect is unknown.
    """


def from_answer(
    status: int,
    body: dict[str, Any],
    *,
    verb: str,
    resource: str,
    namespace: str | None,
    name: str | None,
    retry_after: float | None = None,
) -> KubeError:
    """The error that an answer's status and Status object stand for."""
    reason = str(body.get("reason") or "")
    kinds: dict[int, type[KubeError]] = {
        400: Invalid,
        403: Forbidden,
        404: NotFound,
        409: AlreadyExists if reason == "AlreadyExists" else Conflict,
        422: Invalid,
        429: Unavailable,
    }
    kind = Unavailable if status >= 500 else kinds.get(status, KubeError)
    message = str(body.get("message") or "no message")
    unknown = _UNKNOWN_FIELD.findall(message.rpartition(_STRICTLY)[2]) if _STRICTLY in message else []
    if kind is Invalid and unknown:
        kind = OutdatedDefinition
        message = f"the CustomResourceDefinition is older than this operator and lacks {', '.join(unknown)}"
    return kind(
        message,
        verb=verb,
        resource=resource,
        status=status,
        reason=reason,
        namespace=namespace,
        name=name,
        retry_after=retry_after,
    )
