"""The operator's own settings, from environment variables that the chart sets."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PREFIX: Final = "PYNENC_OPERATOR_"
RESYNC_SECONDS: Final = 300.0

# name, default (None: required), meaning: what --help lists
SETTINGS: Final = (
    ("WATCH_NAMESPACES", "", "namespaces to watch, with commas between; empty: all"),
    ("LEASE_NAMESPACE", None, "namespace of the leader election's Lease"),
    ("LEASE_NAME", "pynenc-operator", "name of the leader election's Lease"),
    ("WORKER_CLUSTER_ROLE", None, "ClusterRole that lets workers report of themselves"),
    ("ALLOW_LOCAL_BACKENDS", "false", "true: backends on loopback and link-local addresses are let through"),
    ("SQLITE_DIR", "/var/lib/pynenc", "where the volume of SQLite backends is mounted, if one is"),
    ("ADDRESS", "", "address that /metrics, /healthz and /readyz listen on; empty: all"),
    ("PORT", "8080", "their port"),
    ("LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR"),
    ("RELAXED_X509", "false", "true: accept a cluster CA without the key usage that Python 3.13 demands"),
)


class ConfigError(Exception):
    """A setting is missing or makes no sense; the text names the variable and the mend."""


@dataclass(frozen=True, slots=True)
class OperatorConfig:
    """What the operator was started with."""

    watch_namespaces: tuple[str, ...]
    lease_namespace: str
    lease_name: str
    worker_cluster_role: str
    allow_local_backends: bool
    sqlite_dir: str
    address: str
    port: int
    log_level: str
    relaxed_x509: bool
    identity: str  # of this replica, in the Lease and in events

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "OperatorConfig":
        """Read the settings; ConfigError names the first that is wrong."""
        unknown = {name for name in environment if name.startswith(PREFIX)} - {PREFIX + s[0] for s in SETTINGS}
        if unknown:
            raise ConfigError(f"{', '.join(sorted(unknown))}: no such setting; --help lists those there are")
        values = {name: environment.get(PREFIX + name) or default for name, default, _ in SETTINGS}
        missing = [PREFIX + name for name, value in values.items() if value is None]
        if missing:
            raise ConfigError(f"{', '.join(missing)}: not set; the chart sets it, see --help")
        given = {name: value or "" for name, value in values.items()}
        return cls(
            watch_namespaces=tuple(filter(None, (part.strip() for part in given["WATCH_NAMESPACES"].split(",")))),
            lease_namespace=given["LEASE_NAMESPACE"],
            lease_name=given["LEASE_NAME"],
            worker_cluster_role=given["WORKER_CLUSTER_ROLE"],
            allow_local_backends=_boolean(given, "ALLOW_LOCAL_BACKENDS"),
            sqlite_dir=given["SQLITE_DIR"],
            address=given["ADDRESS"],
            port=_port(given),
            log_level=_one_of(given, "LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR")),
            relaxed_x509=_boolean(given, "RELAXED_X509"),
            identity=environment.get("POD_NAME") or socket.gethostname(),
        )


def _one_of(given: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    if given[name] not in choices:
        raise ConfigError(f"{PREFIX}{name}: {given[name]!r} is not one of {', '.join(choices)}")
    return given[name]


def _boolean(given: Mapping[str, str], name: str) -> bool:
    return _one_of(given, name, ("true", "false")) == "true"


def _port(given: Mapping[str, str]) -> int:
    try:
        port = int(given["PORT"])
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise ConfigError(f"{PREFIX}PORT: {given['PORT']!r} is not a port number")
    return port


def isolate_from_environment() -> None:
    """Make the resource the only source of a client's configuration. To be called once, at process start.

    pynenc puts `PYNENC__*` variables and the working directory's pyproject.toml above what it is told.
    """
    for name in [name for name in os.environ if name.startswith("PYNENC__")]:
        del os.environ[name]
    if "KUBECONFIG" in os.environ:  # relative paths in it are relative to where we were
        files = (str(Path(file).absolute()) for file in os.environ["KUBECONFIG"].split(os.pathsep) if file)
        os.environ["KUBECONFIG"] = os.pathsep.join(files)
    os.chdir("/")
