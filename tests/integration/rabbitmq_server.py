"""A real RabbitMQ of Debian's package, which tests may stop and start with what it holds."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote, urlsplit

from tests.integration.authority import certify
from tests.integration.ports import free_ports

# Debian's program of the same name in /usr/sbin needs /var/lib/rabbitmq, and becomes another user.
PROGRAMS = Path("/usr/lib/rabbitmq/bin")
STARTED_WITHIN = 120.0
STOPPED_WITHIN = 60.0
USER = "pynenc"
PASSWORD = "pa55@w/rd"  # which has to stand as %XX in a URL
VHOSTS = ("/", "shop")


def plugin_settings(url: str, prefix: str) -> dict[str, str]:
    """What a producer's pynenc is told of a RabbitMQ: its plugin takes no URL."""
    parts = urlsplit(url)
    settings = {
        "HOST": parts.hostname or "",
        "PORT": str(parts.port),
        "USERNAME": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "VIRTUAL_HOST": unquote(parts.path[1:]),
        "QUEUE_PREFIX": prefix,
    }
    return {"PYNENC__BROKER_CLS": "RabbitMqBroker", **{f"PYNENC__RABBITMQ_{key}": it for key, it in settings.items()}}


class RabbitServer:
    """rabbitmq-server in a folder of its own, on loopback unless another address of this machine is named.

    Its node has a name, a cookie and a name server (epmd) of its own, which go with it; it listens with TLS as well,
    under an authority whose certificate is `authority`.
    """

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        assert (PROGRAMS / "rabbitmq-server").exists(), "install the packages of tests/cluster/debian-packages.txt"
        self._folder = folder
        self._address = address
        self.port, self.tls_port, self._distribution, self._names = free_ports(4)
        self.authority = folder / "ca.crt"
        self._node: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def running(cls, folder: Path, address: str = "127.0.0.1") -> Iterator[Self]:
        """One that runs for as long as it is needed."""
        server = cls(folder, address)
        server.start()
        try:
            yield server
        finally:
            server.close()

    @property
    def url(self) -> str:
        return self.url_of()

    def url_of(self, user: str = USER, password: str = PASSWORD, vhost: str = "/", *, port: int | None = None) -> str:
        """The URL of a user of it, on another port where something stands in between."""
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"amqp://{login}@{self._address}:{port or self.port}/{quote(vhost, safe='')}"

    def start(self) -> None:
        """Start it with what it held before."""
        self._configure()
        environment = self._environment()
        if self._epmd is None:
            self._epmd = subprocess.Popen(["epmd", "-port", str(self._names), "-address", "127.0.0.1"], env=environment)
        with (self._folder / "rabbitmq.log").open("ab") as log:
            self._node = subprocess.Popen(
                [PROGRAMS / "rabbitmq-server"],
                env=environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + STARTED_WITHIN
        while not self._answers():
            assert self._node.poll() is None, self.log()[-2000:]
            assert time.monotonic() < deadline, "rabbitmq-server does not answer"
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it in order; its data stays."""
        if self._node is not None:
            self._node.send_signal(signal.SIGCONT)
            self._node.terminate()
            self._node.wait(timeout=STOPPED_WITHIN)
            self._node = None

    def freeze(self) -> None:
        """Have it say nothing, while its connections stay open."""
        assert self._node is not None
        self._node.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._node is not None
        self._node.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop it and all that belongs to it."""
        self.stop()
        if self._epmd is not None:
            self._epmd.terminate()
            self._epmd.wait(timeout=STOPPED_WITHIN)
            self._epmd = None

    def forget(self) -> None:
        """Remove what it held; it has to be stopped."""
        assert self._node is None
        shutil.rmtree(self._folder / "mnesia")

    def control(self, *words: str) -> str:
        """What rabbitmqctl says; it takes some seconds."""
        line = [str(PROGRAMS / "rabbitmqctl"), "--quiet", "--node", self._name, *words]
        done = subprocess.run(line, env=self._environment(), capture_output=True, text=True, timeout=120, check=True)
        return done.stdout

    def log(self) -> str:
        return (self._folder / "rabbitmq.log").read_text(errors="replace")

    @property
    def _name(self) -> str:
        return f"pynenc{self.port}@localhost"

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self._address, self.port), timeout=5) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(connection.recv(16))
        except OSError:
            return False

    def _configure(self) -> None:
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        definitions = {
            "vhosts": [{"name": vhost} for vhost in VHOSTS],
            "users": [{"name": USER, "password": PASSWORD, "tags": ""}],
            "permissions": [{"user": USER, "vhost": vhost, **everything} for vhost in VHOSTS],
        }
        if not (self._folder / "definitions.json").exists():
            (self._folder / "definitions.json").write_text(json.dumps(definitions))
        (self._folder / "enabled_plugins").write_text("[].")
        if not self.authority.exists():
            certify(self._folder, self._address)
        settings = {
            "listeners.tcp.1": f"{self._address}:{self.port}",
            "listeners.ssl.1": f"{self._address}:{self.tls_port}",
            "ssl_options.certfile": str(self._folder / "tls.crt"),
            "ssl_options.keyfile": str(self._folder / "tls.key"),
        }
        if not (self._folder / "mnesia").exists():  # else what a test has changed would be undone
            settings["load_definitions"] = str(self._folder / "definitions.json")
        lines = (f"{key} = {value}\n" for key, value in settings.items())
        (self._folder / "rabbitmq.conf").write_text("".join(lines))

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),  # for the cookie
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "NOTIFY_SOCKET": str(self._folder / "none"),  # so that the script becomes the node, which gets the signals
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self._folder / "generated"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_MNESIA_BASE": str(self._folder / "mnesia"),
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
        }
