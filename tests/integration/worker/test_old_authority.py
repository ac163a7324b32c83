"""An authority from before keyUsage. No API server makes one here: a bare TLS server stands in for it."""

import http.server
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pynenc_worker.config import ApiConfig, PodIdentity
from pynenc_worker.pod_api import ApiUnreachableError, PodApi

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


class Accepting(http.server.BaseHTTPRequestHandler):
    def do_PATCH(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def old_cluster(tmp_path: Path) -> Iterator[ApiConfig]:
    openssl(tmp_path, "req", "-x509", *KEY, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=old", "-days", "2")
    openssl(tmp_path, "req", *KEY, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=api")
    (tmp_path / "extensions").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
    signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions")
    openssl(tmp_path, "x509", "-req", "-in", "tls.csr", "-out", "tls.crt", *signing)
    (tmp_path / "token").write_text("token")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Accepting)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield ApiConfig(host="127.0.0.1", port=server.server_address[1], serviceaccount_dir=tmp_path, tls_strict=True)
    server.shutdown()
    thread.join()
    server.server_close()


def report(config: ApiConfig, *, strict: bool) -> None:
    config = ApiConfig(config.host, config.port, config.serviceaccount_dir, tls_strict=strict)
    api = PodApi(config, PodIdentity("team", "worker", "uid"))
    try:
        api.patch_annotations({"key": "value"})
    finally:
        api.close()


def test_it_is_refused_unless_allowed(old_cluster: ApiConfig) -> None:
    with pytest.raises(ApiUnreachableError, match="SSLCertVerificationError"):
        report(old_cluster, strict=True)
    report(old_cluster, strict=False)
