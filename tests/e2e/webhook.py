"""A mutating admission webhook on the node's address, as service meshes and policy engines have them."""

import base64
import http.server
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.node import NODE
from tests.e2e.kubernetes import Json, apply, kubectl

# A certificate that is its own authority: whoever calls is told to trust just this one.
CERTIFICATE = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")


@contextmanager
def changing_pods(folder: Path, namespace: str, patch: Sequence[Json]) -> Iterator[None]:
    """Every pod that is created in a namespace is changed by a JSON patch before the API server looks at it."""
    files = ("-keyout", str(folder / "webhook.key"), "-out", str(folder / "webhook.crt"))
    command = ["openssl", *CERTIFICATE, "-subj", "/CN=webhook", "-addext", f"subjectAltName=IP:{NODE.ip}", *files]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    encoded = base64.b64encode(json.dumps(list(patch)).encode()).decode()

    class Changing(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = {"uid": review["request"]["uid"], "allowed": True, "patchType": "JSONPatch", "patch": encoded}
            said = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answer}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "webhook.crt", folder / "webhook.key")
    with http.server.ThreadingHTTPServer((NODE.ip, 0), Changing) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        apply(_configuration(namespace, server.server_address[1], (folder / "webhook.crt").read_bytes()))
        try:
            yield
        finally:
            kubectl("delete", "mutatingwebhookconfiguration", namespace, "--ignore-not-found")
            server.shutdown()
            thread.join()


def _configuration(namespace: str, port: int, certificate: bytes) -> Json:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
    bundle = base64.b64encode(certificate).decode()
    webhook = {
        "name": "change.pods.example.com",
        "clientConfig": {"url": f"https://{NODE.ip}:{port}/change", "caBundle": bundle},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Fail",
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
    return {**kind, "metadata": {"name": namespace}, "webhooks": [webhook]}
