"""The API server over one connection: a kubectl for each of hundreds of requests would take too long."""

import http.client
import json
import ssl
import time
from http import HTTPStatus
from typing import Any

from pynenc_operator import labels
from pynenc_operator.conditions import rfc3339
from pynenc_worker import contract
from tests.cluster.half_cluster import HalfCluster

type Json = dict[str, Any]


class Api:
    """What the administrator asks about one namespace."""

    def __init__(self, cluster: HalfCluster, namespace: str) -> None:
        address = cluster.server.removeprefix("https://")
        context = ssl.create_default_context(cafile=str(cluster.ca_file))
        self._connection = http.client.HTTPSConnection(address, timeout=60, context=context)
        self._token = cluster.admin_token
        self.runners = f"/apis/{labels.GROUP}/{labels.VERSION}/namespaces/{namespace}/{labels.PLURAL}"
        self.pods = f"/api/v1/namespaces/{namespace}/pods"

    def ask(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        """Send a request; HTTP status and the answer."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def close(self) -> None:
        self._connection.close()

    def say(self, pod: str, state: str) -> None:
        """Play a worker that is idle, or active with one thread, and its kubelet."""
        notes = {contract.WORKER_STATE: state, contract.WORKER_STATE_SINCE: rfc3339(time.time())}
        notes[contract.ACTIVE_INVOCATIONS] = str(int(state == contract.WorkerState.ACTIVE))
        container = {"name": "worker", "state": {"running": {}}, "ready": True, "restartCount": 0, "image": "x"}
        status = {"phase": "Running", "containerStatuses": [{**container, "imageID": ""}]}
        code, _ = self.ask("PATCH", f"{self.pods}/{pod}/status", {"metadata": {"annotations": notes}, "status": status})
        assert code == HTTPStatus.OK

    def runner(self, name: str) -> Json:
        return self.ask("GET", f"{self.runners}/{name}")[1]

    def ready(self, name: str) -> Json:
        """The condition Ready of a runner; empty before there is one."""
        return condition(self.runner(name))

    def observed(self, name: str) -> int:
        """The generation of a runner that was looked at last."""
        return int(self.runner(name)["status"]["observedGeneration"])

    def touch(self, name: str) -> int:
        """Change something of a runner that changes nothing else; its generation then."""
        patch = {"spec": {"idleTimeoutSeconds": self.runner(name)["spec"]["idleTimeoutSeconds"] + 1}}
        return int(self.ask("PATCH", f"{self.runners}/{name}", patch)[1]["metadata"]["generation"])


def condition(runner: Json) -> Json:
    """The condition Ready of a runner; empty before there is one."""
    found: list[Json] = [each for each in runner.get("status", {}).get("conditions", ()) if each["type"] == "Ready"]
    return found[0] if found else {}
