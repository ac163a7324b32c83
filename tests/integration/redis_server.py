"""A real Redis of Debian's package on loopback, which tests may stop and start with what it holds."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

STARTED_WITHIN = 20.0


class RedisServer:
    """redis-server in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._program = shutil.which("redis-server")
        assert self._program, "there is no redis-server: install the packages of tests/cluster/debian-packages.txt"
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> Iterator[Self]:
        """One that runs for as long as it is needed."""
        server = cls(folder)
        server.start()
        yield server
        server.stop()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it with what it held before."""
        options = {"bind": "127.0.0.1", "port": str(self.port), "dir": str(self._folder), "appendonly": "yes"}
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._program), *(word for key, value in options.items() for word in (f"--{key}", value))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + STARTED_WITHIN
        while self.command("PING") != "+PONG":
            assert self._process.poll() is None, (self._folder / "redis.log").read_text()[-1000:]
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it in order; its data stays."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    def command(self, *words: str) -> str:
        """Send one command; the first line of the answer, empty if there is none."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall((" ".join(words) + "\r\n").encode())
                return connection.recv(4096).decode().splitlines()[0]
        except (OSError, IndexError):
            return ""
