"""FerretDB in MongoDB's place, which is in no package registry: its protocol, on SQLite files.

docs/backends.md says what that proves of a MongoDB, and what it does not.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pymongo
from pymongo.errors import PyMongoError

from tests.cluster.build import build
from tests.cluster.programs import command
from tests.integration.authority import certify
from tests.integration.ports import free_ports

STARTED_WITHIN = 30.0


class MongoServer:
    """A server in a folder of its own, on loopback unless another address of this machine is named."""

    def __init__(
        self, folder: Path, address: str = "127.0.0.1", user: str = "", password: str = "", *, tls: bool = False
    ) -> None:
        """`user`: without one, nobody is asked who he is. `tls`: it listens with a certificate of its own, too."""
        build(["ferretdb"])
        self._folder = folder
        self._address = address
        self.port, tls_port = free_ports(2)
        self.tls_port = tls_port if tls else 0
        if tls:
            certify(folder, address)
        self._credentials = f"{user}:{password}@" if user else ""
        self._user, self._password = user, password
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def running(
        cls, folder: Path, address: str = "127.0.0.1", *, tls: bool = False, **credentials: str
    ) -> Iterator[Self]:
        """One that runs for as long as it is needed."""
        server = cls(folder, address, tls=tls, **credentials)
        server.start()
        try:
            yield server
        finally:
            server.stop()

    @property
    def address(self) -> str:
        return f"{self._address}:{self.port}"

    @property
    def url(self) -> str:
        return f"mongodb://{self._credentials}{self.address}/"

    @property
    def authority(self) -> Path:
        """The certificate of who has signed its own."""
        return self._folder / "ca.crt"

    def tls_url(self, options: str = "") -> str:
        """Where it is reached with TLS; `options`: more of them, each with an & before it."""
        return f"mongodb://{self._credentials}{self._address}:{self.tls_port}/?tls=true{options}"

    def start(self) -> None:
        """Start it with what it held before."""
        data, state = self._folder / "data", self._folder / "state"
        data.mkdir(exist_ok=True)
        state.mkdir(exist_ok=True)
        options = ["--handler=sqlite", f"--sqlite-url=file:{data}/", f"--state-dir={state}", "--telemetry=disable"]
        options += [f"--listen-addr={self.address}", "--debug-addr=-", "--log-level=WARN"]
        if self.tls_port:
            options += [f"--listen-tls={self._address}:{self.tls_port}"]
            options += [f"--listen-tls-cert-file={self._folder / 'tls.crt'}"]
            options += [f"--listen-tls-key-file={self._folder / 'tls.key'}"]
        if self._user:
            options += ["--test-enable-new-auth", "--setup-database=admin"]
            options += [f"--setup-username={self._user}", f"--setup-password={self._password}"]
        with (self._folder / "ferretdb.log").open("ab") as log:
            self._process = subprocess.Popen(
                [command("ferretdb"), *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + STARTED_WITHIN
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "ferretdb.log").read_text()[-1000:]
            assert time.monotonic() < deadline, "FerretDB does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it in order; its data stays."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    @contextmanager
    def database(self, name: str = "pynenc") -> Iterator[Any]:
        """A look into it from outside, not by what is tested."""
        client: pymongo.MongoClient[dict[str, Any]]
        with pymongo.MongoClient(self.url, serverSelectionTimeoutMS=10_000) as client:
            yield client[name]

    def _answers(self) -> bool:
        client: pymongo.MongoClient[dict[str, Any]]
        try:
            with pymongo.MongoClient(self.url, serverSelectionTimeoutMS=500) as client:
                return bool(client.admin.command("ping")["ok"])
        except PyMongoError:
            return False
