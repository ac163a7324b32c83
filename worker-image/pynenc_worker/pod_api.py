"""The one call a worker makes to Kubernetes: PATCH the annotations of its own pod.

http.client on a kept connection instead of a Kubernetes client, which would cost every pod 40-50 MB.
"""

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pynenc_worker import contract
from pynenc_worker.clock import ServerClock
from pynenc_worker.config import ApiConfig, PodIdentity

TIMEOUT_SECONDS: Final = 5.0
# Refusals that the same request would meet again: bad or missing rights, a pod that is gone or another one.
REFUSALS: Final = frozenset({400, 401, 403, 404, 415, 422})


class ApiRefusedError(Exception):
    """The API server answered no; the work goes on, and the report is tried again."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status


class ApiUnreachableError(Exception):
    """No answer, or one that says to come again later."""

    def __init__(self, cause: str, retry_after: float = 0.0) -> None:
        super().__init__(cause)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Answer:
    """What an accepted write says of the pod, as it stands with it."""

    deleted: bool  # SIGTERM says so too, but not to a process that has only just begun
    drain_request: str  # its id; empty where there is none


class PodApi:
    """The status subresource of one pod, as its own ServiceAccount may write it."""

    def __init__(self, config: ApiConfig, pod: PodIdentity) -> None:
        self.clock = ServerClock()
        self._config = config
        self._uid = pod.uid
        self._path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/status"
        self._connection: http.client.HTTPSConnection | None = None

    def patch_annotations(self, annotations: Mapping[str, str | None]) -> Answer:
        """Set these annotations, None removes one. The uid keeps a later pod of the same name from being meant.

        :raises ApiRefusedError: rights, admission, or the pod is not ours any more
        :raises ApiUnreachableError: everything that may go away by itself
        """
        body = json.dumps({"metadata": {"uid": self._uid, "annotations": dict(annotations)}}).encode()
        kept = self._connection is not None
        try:
            status, answer, retry_after = self._send(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not kept:
                raise ApiUnreachableError(type(error).__name__) from None
            # The server closes a kept connection that was unused for a while: once more on a new one.
            status, answer, retry_after = self._send_anew(body)
        if status in REFUSALS:
            raise ApiRefusedError(status, _message(status, answer))
        if status >= http.client.MULTIPLE_CHOICES:
            raise ApiUnreachableError(f"HTTP {status}: {_message(status, answer)}", retry_after)
        meta = _object(answer).get("metadata", {})
        standing = meta.get("annotations") or {}
        return Answer("deletionTimestamp" in meta, str(standing.get(contract.DRAIN_REQUEST, "")))

    def close(self) -> None:
        """Drop the connection; the next call makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send_anew(self, body: bytes) -> tuple[int, bytes, float]:
        try:
            return self._send(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ApiUnreachableError(type(error).__name__) from None

    def _send(self, body: bytes) -> tuple[int, bytes, float]:
        token = (self._config.serviceaccount_dir / "token").read_text(encoding="utf-8").strip()  # the kubelet renews it
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._config.host,
                self._config.port,
                timeout=TIMEOUT_SECONDS,
                context=_tls(self._config.serviceaccount_dir / "ca.crt", strict=self._config.tls_strict),
            )
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/merge-patch+json",
            "Accept": "application/json",
            "User-Agent": "pynenc-worker",
        }
        sent = time.time()
        self._connection.request("PATCH", self._path, body=body, headers=headers)
        response = self._connection.getresponse()
        answer = response.read()
        self.clock.learn(response.headers.get("Date"), sent, time.time())
        return response.status, answer, _retry_after(response.headers.get("Retry-After"))


def _tls(authority: Path, *, strict: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority))
    # Python 3.13's default, also on 3.12. It refuses authorities without keyUsage, which older clusters have.
    if strict:
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    else:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _message(status: int, answer: bytes) -> str:
    """The words of a refusal."""
    return str(_object(answer).get("message") or http.client.responses.get(status, ""))[:300]


def _object(answer: bytes) -> dict[str, Any]:
    """The answer's JSON object; an empty one if it is none, as a proxy's may be."""
    try:
        found = json.loads(answer)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _retry_after(header: str | None) -> float:
    return float(header) if header is not None and header.isdigit() else 0.0
