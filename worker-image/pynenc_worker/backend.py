"""Which pynenc classes and settings a backend stands for, decided before the app is imported.

pynenc lets the environment beat the app's own configuration. So the worker sets there what the resource
says, and refuses what would say otherwise: the pods of a resource and the operator that counts its queue
must speak of the same backend.
"""

import inspect
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pynenc import Pynenc
from pynenc.broker.base_broker import BaseBroker
from pynenc.client_data_store.base_client_data_store import BaseClientDataStore
from pynenc.orchestrator.base_orchestrator import BaseOrchestrator
from pynenc.state_backend.base_state_backend import BaseStateBackend
from pynenc.trigger.base_trigger import BaseTrigger
from pynenc.util.subclasses import get_all_subclasses, get_subclass

from pynenc_worker import contract
from pynenc_worker.config import ConfigError, WorkerConfig
from pynenc_worker.versions import pynenc_version

NO_URL: Final = (
    "the backend's URL can't be used: it has to look like redis://user:password@host:6379/0, with special characters "
    "in user and password as %XX"
)


@dataclass(frozen=True, slots=True)
class Components:
    """The class names that pynenc looks up among what its plugins import."""

    orchestrator: str
    broker: str
    state_backend: str
    trigger: str
    client_data_store: str

    def by_name(self) -> dict[str, str]:
        """Component name to class name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Backend:
    """One way to run pynenc over a network or a shared file."""

    distribution: str
    components: Components
    url_variable: str
    store_distribution: str = ""  # brings all but the broker, where that is another one


def _all(prefix: str) -> Components:
    return Components(
        *(prefix + part for part in ("Orchestrator", "Broker", "StateBackend", "Trigger", "ClientDataStore"))
    )


BACKENDS: Final[Mapping[str, Backend]] = {
    "redis": Backend("pynenc-redis", _all("Redis"), "PYNENC__REDIS_URL"),
    "mongodb": Backend("pynenc-mongo", _all("Mongo"), "PYNENC__MONGO_URL"),
    "rabbitmq": Backend(
        "pynenc-rabbitmq", replace(_all("Redis"), broker="RabbitMqBroker"), "PYNENC__REDIS_URL", "pynenc-redis"
    ),
    "sqlite": Backend("pynenc", _all("SQLite"), "PYNENC__SQLITE_DB_PATH"),
}

# What the worker chooses where the user's environment has chosen nothing. Each runner has a slot for the atomic
# service (cron and event triggers, recovery) in each 5 minutes; with pynenc's own gap of 1 minute between slots
# none is left from 5 runners on. With 0.12 s, and a slot that may be used to its end, one of them looks every
# half minute, however many there are. An empty string is pynenc's only way to say false.
DEFAULTS: Final[Mapping[str, str]] = {
    "PYNENC__ATOMIC_SERVICE_SPREAD_MARGIN_MINUTES": "0.002",
    "PYNENC__ATOMIC_SERVICE_MAX_START_SLOT_FRACTION": "1.0",
    "PYNENC__LOG_STREAM": "stdout",
    "PYNENC__LOG_USE_COLORS": "",
}


def refuse_contradictions(environ: Mapping[str, str]) -> None:
    """Stop on pynenc settings that contradict the resource; they can still come in by envFrom.

    :raises ConfigError: names the variables, never their values
    """
    found = sorted(name for name in environ if name not in contract.OPERATOR_SETTINGS and _contradicts(name.upper()))
    if found:
        raise ConfigError(
            f"{', '.join(found)}: set by the resource alone, from backend, appId, queues, minThreads and maxThreads of "
            "its spec; remove it from what spec.envFrom or the image brings"
        )


def _contradicts(name: str) -> bool:
    return bool(re.search(contract.RESERVED_SETTINGS, name) and not re.search(contract.UNRESERVED_SETTINGS, name))


def chosen(config: WorkerConfig) -> Backend:
    """The backend that the operator named.

    :raises ConfigError: an unknown one, or one whose plugin is not in the image
    """
    backend = BACKENDS.get(config.backend)
    if backend is None:
        raise ConfigError(f"{contract.ENV_BACKEND} has to be one of {', '.join(BACKENDS)}")
    for distribution in filter(None, (backend.distribution, backend.store_distribution)):
        try:
            version(distribution)
        except PackageNotFoundError:
            raise ConfigError(
                f"{contract.ENV_BACKEND}={config.backend} needs {distribution}: add it to the image"
            ) from None
    return backend


def read_url(config: WorkerConfig) -> str:
    """The backend's URL or, for sqlite, path: from the Secret's file when there is one, else from the environment.

    :raises ConfigError: neither is there
    """
    return _read_url(config.backend_dir / contract.URL_FILE, contract.ENV_BACKEND_URL, config.backend_url)


def read_store_url(config: WorkerConfig) -> str:
    """The same of the Redis that stands beside a RabbitMQ.

    :raises ConfigError: neither is there
    """
    return _read_url(config.backend_dir / contract.STORE_URL_FILE, contract.ENV_STORE_URL, config.store_url)


def _read_url(file: Path, variable: str, value: str) -> str:
    try:
        url = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        url = value
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} can't be read ({type(error).__name__}): check the Secret's volume") from None
    if not url:
        raise ConfigError(f"the backend's URL is missing: neither {file} nor {variable} has one")
    return url


def without_credentials(url: str) -> str:
    """The URL with user and password left out, wherever they stand.

    :raises ConfigError: it is no URL; a parser's own words would tell parts of it
    """
    try:
        parts = urlsplit(url)
        host, _, database = parts.hostname, parts.port, parts.path.strip("/")
        known = bool(host) and "," not in parts.netloc.rpartition("@")[2] and (not database or database.isdecimal())
    except ValueError:
        known = False
    if not known:
        raise ConfigError(NO_URL)
    options = parse_qsl(parts.query, keep_blank_values=True)
    options = [option for option in options if option[0] not in ("username", "password")]
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=address, query=urlencode(options), fragment=""))


def derive_environment(backend: Backend, url: str, environ: MutableMapping[str, str]) -> None:
    """Write what pynenc reads when the app is created."""
    for component, cls in backend.components.by_name().items():
        environ[f"PYNENC__{component.upper()}_CLS"] = cls
    environ[backend.url_variable] = url
    of_broker, of_runner = contract.ENV_QUEUES
    environ.pop(of_broker, None)  # the app's own stand: its tasks may enqueue into queues that are not served here
    if not environ.get(of_runner):
        environ.pop(of_runner, None)
    for name, value in DEFAULTS.items():
        environ.setdefault(name, value)


def _refuse_rustvello(app: Pynenc, backend: Backend) -> None:
    """Stop on an app that chooses pynenc-rustvello in its code: the resource goes before that here, not in producers.

    :raises ConfigError: names the first of its classes
    """
    chosen = (str((app.config_values or {}).get(f"{component}_cls", "")) for component in backend.components.by_name())
    if rust := next((name for name in chosen if name.startswith("Rust")), None):
        raise ConfigError(
            f"the app's code chooses {rust} of pynenc-rustvello, whose newest release, 0.1.3, lacks what pynenc 0.3 "
            "and 0.4 ask of an orchestrator, a state backend and a trigger: take it out of the code, which producers "
            f"run too, and give them the backend of the resource, by {backend.distribution}"
        )


def create_components(app: Pynenc) -> None:
    """Make the app's components now, before other threads use them.

    All of them lazy, so that a worker of an app whose Redis is away can still report. pynenc's own way to the
    state backend writes to it at once; the runner does that when it starts.
    """
    if app._state_backend is None:  # noqa: SLF001 - see above
        app._state_backend = get_subclass(BaseStateBackend, app.conf.state_backend_cls)(app)  # noqa: SLF001
    for component in (app.orchestrator, app.broker, app.trigger, app.client_data_store):
        app.logger.debug("made %s", type(component).__name__)


def verify(app: Pynenc, backend: Backend, app_id: str) -> None:
    """Check that the imported app is the one the resource describes, and that its plugin fits its pynenc.

    :raises ConfigError: says what does not fit and what would
    """
    if app.app_id != app_id:
        raise ConfigError(f"the app calls itself {app.app_id!r}, the resource's spec.appId is {app_id!r}")
    _refuse_rustvello(app, backend)
    bases = (BaseOrchestrator, BaseBroker, BaseStateBackend, BaseTrigger, BaseClientDataStore)
    for base, (component, name) in zip(bases, backend.components.by_name().items(), strict=True):
        configured = getattr(app.conf, f"{component}_cls")
        if configured != name:
            raise ConfigError(f"the app's {component}_cls is {configured}, the resource's backend needs {name}")
        found = [cls for cls in get_all_subclasses(base) if cls.__name__ == name]
        plugin = f"{backend.distribution} {version(backend.distribution)}"
        if not found:
            raise ConfigError(f"{plugin} brings no {name}: install a release that does")
        if inspect.isabstract(found[0]):
            lacking = ", ".join(sorted(found[0].__abstractmethods__))
            raise ConfigError(
                f"{plugin} does not work with pynenc {pynenc_version()}: its {name} lacks {lacking}. "
                "pynenc 0.3.1 and 0.4.0 work with pynenc-redis 0.3.0, and 0.3.1 alone with pynenc-rabbitmq 0.1.6 and "
                "pynenc-mongo 0.3.0"
            )
