"""As much of the Kubernetes API as these tests ask for, as the half cluster's administrator."""

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tests.cluster.half_cluster import HalfCluster


class KubernetesApi:
    """Requests on connections of their own; also from threads."""

    def __init__(self, cluster: HalfCluster) -> None:
        parts = urlsplit(cluster.server)
        self.host, self.port = str(parts.hostname), int(parts.port or 443)
        self._token = cluster.admin_token
        self._tls = ssl.create_default_context(cafile=str(cluster.ca_file))

    def request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One request; anything but success raises with the server's words."""
        connection = self.connect()
        try:
            connection.request(
                method, path, body=None if body is None else json.dumps(body), headers=self._headers(method)
            )
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        finally:
            connection.close()
        assert response.status < 300, f"{method} {path}: {response.status} {answer.get('message')}"
        return answer

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.host, self.port, timeout=60, context=self._tls)

    def _headers(self, method: str) -> Mapping[str, str]:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        return {"Authorization": f"Bearer {self._token}", "Content-Type": kind}

    def history(self, path: str) -> list[dict[str, Any]]:
        """Every version that an object has had since the resourceVersion in `path`, a watch that ends at once."""
        connection = self.connect()
        try:
            connection.request("GET", f"{path}&watch=1&timeoutSeconds=1", headers=self._headers("GET"))
            events = connection.getresponse().read().splitlines()
        finally:
            connection.close()
        return [json.loads(event)["object"] for event in events]
