"""A real Redis of Debian's package, which tests may stop and start with what it holds."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from tests.integration.ports import free_ports

STARTED_WITHIN = 20.0


def tls_options(folder: Path, port: int) -> dict[str, str]:
    """Have one listen with TLS as well, by the certificate in a folder (`authority.certify`)."""
    files = {"cert": "tls.crt", "key": "tls.key", "ca_cert": "ca.crt"}
    settings = {f"tls_{kind}_file": str(folder / name) for kind, name in files.items()}
    return {"tls_port": str(port), "tls_auth_clients": "no", **settings}


class RedisServer:
    """redis-server in a folder of its own, on loopback unless another address of this machine is named."""

    def __init__(self, folder: Path, address: str = "127.0.0.1", program: str = "redis-server", **options: str) -> None:
        """`options`: more of its configuration, with _ for -. `program`: another one that takes the same."""
        self._program = shutil.which(program)
        assert self._program, f"there is no {program}: install the packages of tests/cluster/debian-packages.txt"
        self._folder = folder
        self._address = address
        [self.port] = free_ports(1)
        self._options = {key.replace("_", "-"): value for key, value in options.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._told = 0  # bytes of INFO, asked here

    @classmethod
    @contextmanager
    def running(
        cls, folder: Path, address: str = "127.0.0.1", program: str = "redis-server", **options: str
    ) -> Iterator[Self]:
        """One that runs for as long as it is needed."""
        server = cls(folder, address, program, **options)
        server.start()
        try:
            yield server
        finally:
            server.stop()

    @property
    def url(self) -> str:
        return f"redis://{self._address}:{self.port}/0"

    def start(self) -> None:
        """Start it with what it held before."""
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._program), *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + STARTED_WITHIN
        while self.command("PING") != "+PONG":
            assert self._process.poll() is None, (self._folder / "redis.log").read_text()[-1000:]
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.05)

    def _arguments(self) -> list[str]:
        options = {"bind": self._address, "port": str(self.port), "dir": str(self._folder), "appendonly": "yes"}
        options["protected-mode"] = "no"  # of what listens on a cluster's network of this machine
        options |= self._options
        return [word for key, value in options.items() for word in (f"--{key}", value)]

    def stop(self) -> None:
        """Stop it in order; its data stays."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    def forget(self) -> None:
        """Remove what it held; it has to be stopped."""
        assert self._process is None
        shutil.rmtree(self._folder / "appendonlydir")

    def command(self, *words: str, line: str = "") -> str:
        """Send one command; the first line of the answer that begins so, empty if there is none."""
        try:
            with socket.create_connection((self._address, self.port), timeout=2) as connection:
                connection.sendall((" ".join(words) + "\r\n").encode())
                answer = connection.recv(4096).decode().splitlines()
                return next((each for each in answer if each.startswith(line)), "")
        except OSError:
            return ""

    def calls(self) -> dict[str, int]:
        """How often each command was called."""
        told = self._info("commandstats")
        return {name: int(calls) for name, calls in re.findall(r"^cmdstat_(\S+?):calls=(\d+)", told, re.MULTILINE)}

    def reads(self) -> int:
        """How often it has read from a connection: at least once for what is sent together, and for asking this."""
        return self._stats("total_reads_processed")

    def traffic(self) -> int:
        """Bytes that it has been sent and has sent, but for what is asked here."""
        own = self._told  # this answer is not yet sent when it is counted
        return self._stats("total_net_input_bytes", "total_net_output_bytes") - own

    def _stats(self, *names: str) -> int:
        told = self._info("stats")
        return sum(int(re.findall(rf"^{name}:(\d+)", told, re.MULTILINE)[0]) for name in names)

    def _info(self, section: str) -> str:
        question = f"INFO {section}\r\n".encode()
        with socket.create_connection((self._address, self.port), timeout=2) as connection:
            connection.sendall(question)
            with connection.makefile("rb") as answer:
                head = answer.readline()
                told = answer.read(int(head[1:]))
        self._told += len(question) + len(head) + len(told) + len(b"\r\n")
        return told.decode()


class Sentinel(RedisServer):
    """One that watches servers, and holds nothing."""

    def _arguments(self) -> list[str]:
        own = self._folder / "sentinel.conf"  # which it writes
        own.write_text(f"bind {self._address}\nport {self.port}\ndir {self._folder}\nprotected-mode no\n")
        return [str(own), "--sentinel"]


# The slots of a Redis Cluster, by its nodes.
HALVES = ("0 8191", "8192 16383")
WHOLE = ("0 16383",)


@contextmanager
def redis_cluster(folder: Path, slots: Sequence[str]) -> Iterator[RedisServer]:
    """The first node of a Redis Cluster that has one node for each range of slots, or one without any."""
    with ExitStack() as stack:
        nodes: list[RedisServer] = []
        buses: list[str] = []
        for number in range(max(1, len(slots))):
            own = folder / f"node-{number}"
            own.mkdir()
            buses += map(str, free_ports(1))  # by default 10,000 more, which may be no port
            options = {"cluster_enabled": "yes", "cluster_port": buses[-1]}
            nodes.append(stack.enter_context(RedisServer.running(own, **options)))
        for node, some in zip(nodes, slots, strict=False):
            assert node.command("CLUSTER", "ADDSLOTSRANGE", some) == "+OK"
        for node, bus in zip(nodes[1:], buses[1:], strict=True):
            assert nodes[0].command("CLUSTER", "MEET", "127.0.0.1", str(node.port), bus) == "+OK"
        deadline = time.monotonic() + STARTED_WITHIN
        while slots and nodes[0].command("CLUSTER", "INFO", line="cluster_state:") != "cluster_state:ok":
            assert time.monotonic() < deadline, "the cluster is not whole"
            time.sleep(0.05)
        yield nodes[0]
