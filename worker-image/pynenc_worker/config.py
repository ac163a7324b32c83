"""The worker's configuration, read once from the environment that the operator writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pynenc_worker import contract

# Where the kubelet puts things is fixed in a pod; these names move it, for a worker that runs elsewhere.
ENV_SERVICEACCOUNT_DIR: Final = "PYNENC_WORKER_SERVICEACCOUNT_DIR"
ENV_PODINFO_DIR: Final = "PYNENC_WORKER_PODINFO_DIR"
ENV_BACKEND_DIR: Final = "PYNENC_WORKER_BACKEND_DIR"
ENV_TERMINATION_LOG: Final = "PYNENC_WORKER_TERMINATION_LOG"
ENV_METRICS_ADDRESS: Final = "PYNENC_WORKER_METRICS_ADDRESS"
ENV_API_HOST: Final = "KUBERNETES_SERVICE_HOST"
ENV_API_PORT: Final = "KUBERNETES_SERVICE_PORT"

SERVICEACCOUNT_DIR: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
HIGHEST_PORT: Final = 65535


class ConfigError(Exception):
    """The environment can't be worked with; the text names the variable and the mend, never a value."""


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """How the API server is reached from inside the cluster."""

    host: str
    port: int
    serviceaccount_dir: Path
    tls_strict: bool


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """The pod this process runs in; its uid is also the pynenc runner id."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Everything that the operator decides for a worker."""

    app: str
    backend: str
    backend_url: str  # empty: the URL is in a file of backend_dir
    store_url: str  # of the Redis beside a RabbitMQ; the same
    queue_prefix: str  # of RabbitMQ
    backend_dir: Path
    drain_timeout: float  # seconds
    metrics_address: str  # empty: all interfaces
    metrics_port: int
    podinfo_dir: Path
    pod: PodIdentity
    api: ApiConfig

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> WorkerConfig:
        """Read and check the variables.

        :raises ConfigError: a variable is missing or can't be read
        """
        return cls(
            app=_required(environ, contract.ENV_APP, "the module that defines the app, as `pynenc --app` takes it"),
            backend=_required(environ, contract.ENV_BACKEND, "redis, rabbitmq, mongodb or sqlite"),
            backend_url=environ.get(contract.ENV_BACKEND_URL, ""),
            store_url=environ.get(contract.ENV_STORE_URL, ""),
            queue_prefix=environ.get(contract.ENV_QUEUE_PREFIX, ""),
            backend_dir=Path(environ.get(ENV_BACKEND_DIR) or contract.BACKEND_DIR),
            drain_timeout=_whole(environ, contract.ENV_DRAIN_TIMEOUT, None, lowest=1),
            metrics_address=environ.get(ENV_METRICS_ADDRESS, ""),
            metrics_port=_whole(
                environ, contract.ENV_METRICS_PORT, contract.METRICS_PORT, lowest=1, highest=HIGHEST_PORT
            ),
            podinfo_dir=Path(environ.get(ENV_PODINFO_DIR) or contract.PODINFO_DIR),
            pod=PodIdentity(
                namespace=_required(environ, contract.ENV_POD_NAMESPACE, "metadata.namespace by the downward API"),
                name=_required(environ, contract.ENV_POD_NAME, "metadata.name by the downward API"),
                uid=_required(environ, contract.ENV_POD_UID, "metadata.uid by the downward API"),
            ),
            api=ApiConfig(
                host=_required(
                    environ, ENV_API_HOST, "set by Kubernetes in every pod; outside one, use `pynenc runner start`"
                ),
                port=_whole(environ, ENV_API_PORT, 443, lowest=1, highest=HIGHEST_PORT),
                serviceaccount_dir=Path(environ.get(ENV_SERVICEACCOUNT_DIR) or SERVICEACCOUNT_DIR),
                tls_strict=_flag(environ, contract.ENV_TLS_STRICT, default=True),
            ),
        )


def _required(environ: Mapping[str, str], name: str, meaning: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise ConfigError(f"{name} is not set: it has to be {meaning}")
    return value


def _whole(
    environ: Mapping[str, str], name: str, default: int | None, *, lowest: int, highest: int | None = None
) -> int:
    text = environ.get(name, "")
    if not text and default is not None:
        return default
    bounds = f"a whole number from {lowest} on" if highest is None else f"a whole number from {lowest} to {highest}"
    if not text:
        raise ConfigError(f"{name} is not set: it has to be {bounds}")
    if not text.isascii() or not text.isdigit() or int(text) < lowest or (highest is not None and int(text) > highest):
        raise ConfigError(f"{name} has to be {bounds}")
    return int(text)


def _flag(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = environ.get(name, "")
    if not text:
        return default
    if text not in ("true", "false"):
        raise ConfigError(f"{name} has to be true or false")
    return text == "true"
