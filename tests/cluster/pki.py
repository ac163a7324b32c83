"""Keys and certificates for one cluster, made with openssl.

Python 3.13 verifies strictly: an authority needs keyUsage, and every other certificate the identifiers
of its own key and of its issuer's.
"""

import subprocess
from pathlib import Path

from tests.cluster.console import ClusterError

_DAYS = "365"
_KEY: list[str | Path] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Authority:
    """A certificate authority in a folder; `ca.crt` and `ca.key` are its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.certificate = folder / "ca.crt"
        self.key = folder / "ca.key"
        _openssl(
            *("req", "-x509", *_KEY, "-keyout", self.key, "-out", self.certificate),
            *("-subj", "/CN=pynenc-operator-test-ca", "-days", _DAYS),
            *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )

    def server(self, name: str, hosts: list[str]) -> tuple[Path, Path]:
        """A serving certificate for these addresses (`IP:10.96.0.1`, `DNS:kubernetes`): its file and its key's."""
        return self._issue(name, f"/CN={name}", "serverAuth", f"subjectAltName={','.join(hosts)}\n")

    def client(self, user: str, *groups: str) -> tuple[Path, Path]:
        """A client's certificate, as Kubernetes reads it: the user as CN, groups as O."""
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={user}"
        return self._issue(user.replace(":", "-"), subject, "clientAuth")

    def _issue(self, name: str, subject: str, usage: str, more: str = "") -> tuple[Path, Path]:
        key, request, certificate = (self.folder / f"{name}.{ending}" for ending in ("key", "csr", "crt"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            f"extendedKeyUsage={usage}\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n{more}"
        )
        _openssl("req", *_KEY, "-keyout", key, "-out", request, "-subj", subject)
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial"),
            *("-days", _DAYS, "-out", certificate, "-extfile", extensions),
        )
        return certificate, key


def signing_key(path: Path) -> Path:
    """A key to sign ServiceAccount tokens with, in the form (SEC 1) that the API server reads."""
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    return path


def _openssl(*arguments: str | Path) -> None:
    try:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise ClusterError("there is no `openssl`: install the packages of tests/cluster/debian-packages.txt") from None
    except subprocess.CalledProcessError as error:
        raise ClusterError(f"openssl {arguments[0]} failed: {error.stderr.strip()}") from error
