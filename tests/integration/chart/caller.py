"""Requests to the API server as somebody: exactly the one that is asked for, where kubectl would read first."""

import json
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from tests.cluster.half_cluster import HalfCluster

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
GRANTED_WITHIN = 30.0  # seconds until the API server knows a new role or binding


@dataclass(frozen=True)
class Answer:
    """Status code and body; `message` is what a refusal says."""

    code: int
    body: dict[str, Any]

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


@dataclass(frozen=True)
class Caller:
    """Whoever holds this token."""

    cluster: HalfCluster
    token: str

    def call(self, method: str, path: str, body: object = None, *, content_type: str = "application/json") -> Answer:
        """Send one request and return its answer, refusals included."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.cluster.server}{path}", data=data, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", content_type)
        trust = ssl.create_default_context(cafile=str(self.cluster.ca_file))
        try:
            with urllib.request.urlopen(request, timeout=30, context=trust) as answer:
                return Answer(answer.status, json.load(answer))
        except urllib.error.HTTPError as refusal:
            return Answer(refusal.code, json.load(refusal))

    def patch_status(self, namespace: str, pod: str, patch: object, *, content_type: str = MERGE_PATCH) -> Answer:
        """PATCH the status of a pod."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/status"
        if content_type == APPLY_PATCH:
            path += "?fieldManager=test&force=true"
        return self.call("PATCH", path, patch, content_type=content_type)

    def may(self, verb: str, group: str, resource: str, *, namespace: str = "", name: str = "") -> bool:
        """Whether the API server would let this caller do it."""
        resource, _, subresource = resource.partition("/")
        wanted = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        }
        answer = self.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        assert answer.code == 201, answer.message
        return bool(answer.body["status"]["allowed"])

    def until_allowed(self, verb: str, group: str, resource: str, *, namespace: str) -> None:
        """Wait until a right that has just been granted is in force."""
        deadline = time.monotonic() + GRANTED_WITHIN
        while not self.may(verb, group, resource, namespace=namespace):
            assert time.monotonic() < deadline, f"{verb} {resource} in {namespace} was granted and is not allowed"
            time.sleep(0.05)


def administrator(cluster: HalfCluster) -> Caller:
    """Who may do everything."""
    return Caller(cluster, cluster.admin_token)


def service_account(cluster: HalfCluster, namespace: str, name: str, *, pod: str | None = None) -> Caller:
    """A ServiceAccount; with `pod`, by the token that this pod would have."""
    return Caller(cluster, cluster.create_token(namespace, name, pod=pod))
