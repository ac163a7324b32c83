"""An authority of a test's own, and a certificate of it for one address of this machine."""

import subprocess
from pathlib import Path
from typing import Final

_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def certify(folder: Path, address: str) -> None:
    """Write `ca.crt`, and `tls.crt` and `tls.key` for what listens on the address, into a folder."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    usage = ("-addext", "keyUsage=critical,keyCertSign")
    openssl("req", "-x509", *_KEY, *usage, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=own", "-days", "2")
    openssl("req", *_KEY, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=server")
    (folder / "extensions").write_text(f"subjectAltName=IP:{address}\nauthorityKeyIdentifier=keyid\n")
    signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions")
    openssl("x509", "-req", "-in", "tls.csr", "-out", "tls.crt", *signing)
