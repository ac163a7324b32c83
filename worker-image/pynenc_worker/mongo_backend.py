"""What the worker knows of pynenc-mongo beyond pynenc's interfaces.

The plugin's own client waits for half a minute, three times over, for a server that is away; in a drain there is no
such time. And it hands out times without a zone, which pynenc's own can't be compared with.
"""

import functools
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import pymongo
from pymongo import pool
from pymongo.errors import PyMongoError
from pynenc import Pynenc
from pynenc.identifiers.invocation_id import InvocationId
from pynenc.invocation.status import InvocationStatus, InvocationStatusRecord, status_record_transition
from pynenc_mongo.conf.config_mongo import ConfigMongo
from pynenc_mongo.util import mongo_client

from pynenc_worker.config import ConfigError
from pynenc_worker.index import InvocationIndex
from pynenc_worker.mongo_url import DEFAULT_DATABASE, NO_URL, database_of, user_and_password

SERVER_SECONDS: Final = 2.0  # to find a server that takes writes; a failover takes longer, and is an outage
# One try: a second one of a pop whose answer was lost would take another entry, and nobody would look for the first.
DEFAULTS: Final = {"PYNENC__CONFIGMONGO__MAX_RETRIES": "1"}
DATABASE: Final = "PYNENC__MONGO_DB"
_RECORD: Final = {"_id": 0, "status": 1, "status_runner_id": 1, "status_timestamp": 1}
_Pool: Any = pool.Pool  # of the plugin's release of the client


class _FreshCredentials(_Pool):  # type: ignore[misc]
    """A pool that reads the URL again for each new connection: a rotated password is found by itself."""

    def __init__(self, read_url: Callable[[], str], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the client's own
        super().__init__(*args, **kwargs)
        self._read_url = read_url

    def connect(self, all_credentials: MutableMapping[str, Any] | None = None) -> Any:  # noqa: ANN401
        """Connect with them. `all_credentials` is the client's own, for its other connections too."""
        for source, known in (all_credentials or {}).items():
            user, password = self._user_and_password()
            if user and (known.username, known.password) != (user, password):
                fresh = known._replace(username=user, password=password, cache=type(known.cache)())
                all_credentials[source] = fresh  # type: ignore[index] # it is not None here
        return super().connect(all_credentials)

    def _user_and_password(self) -> tuple[str, str]:
        try:
            return user_and_password(self._read_url())
        except (ConfigError, ValueError):
            return "", ""  # there is no URL to read at the moment


def use_client(read_url: Callable[[], str]) -> None:
    """Have the plugin make its process-wide client as below, whatever URL it knows.

    :raises ConfigError: the client refuses the URL; its own words would tell parts of it
    """
    url = urlsplit(read_url())
    # A mongodb+srv:// URL would be looked up at once, and a name server that is away is no fault of the URL.
    options = [option for option in url.query.split("&") if not option.lower().startswith("srv")]
    try:
        with warnings.catch_warnings(action="error"):  # its client warns of an option, and goes on without TLS
            pymongo.MongoClient(
                urlunsplit(url._replace(scheme="mongodb", path=url.path or "/", query="&".join(options))), connect=False
            ).close()
    except (PyMongoError, UserWarning, ValueError, TypeError):
        raise ConfigError(NO_URL) from None
    mongo_client.get_mongo_client = functools.partial(_client, read_url)


def _client(read_url: Callable[[], str], conf: ConfigMongo) -> Any:  # noqa: ANN401 - the plugin's release of it
    options: dict[str, Any] = {"_pool_class": functools.partial(_FreshCredentials, read_url)}
    return pymongo.MongoClient(
        read_url(),
        connect=False,
        tz_aware=True,
        maxPoolSize=conf.mongo_pool_max_connections,
        retryWrites=True,
        serverSelectionTimeoutMS=int(SERVER_SECONDS * 1000),
        connectTimeoutMS=int(SERVER_SECONDS * 1000),
        socketTimeoutMS=int(conf.socket_timeout * 1000),
        **options,
    )


def install(app: Pynenc, url: str) -> "MongoIndex":
    """Use two methods of the index below instead of the plugin's.

    :raises ConfigError: the app keeps its data elsewhere than where the operator counts its queue
    """
    _verify_database(app, url)
    index = MongoIndex(app)
    app.orchestrator._atomic_status_transition = index.transition  # noqa: SLF001 - what it replaces
    app.orchestrator.blocking_control.get_blocking_invocations = index.blocking
    return index


def _verify_database(app: Pynenc, url: str) -> None:
    named, in_code = database_of(url), _database_in_code(app)
    if in_code and in_code != named:
        raise ConfigError(
            f"the app's mongo_db is {in_code!r}, and the backend's URL leads to the database {named!r}: end its "
            f"address with /{in_code}, and name the one that knows the user with ?authSource="
        )


def _database_in_code(app: Pynenc) -> str:
    """The database that the app's code or configuration file names, and so its producers; empty if they name none."""
    ours = os.environ.pop(DATABASE, None)
    try:
        used = str(ConfigMongo(config_values=app.config_values, config_filepath=app.config_filepath).mongo_db)
    finally:
        if ours is not None:
            os.environ[DATABASE] = ours
    return used if used != DEFAULT_DATABASE or "mongo_db" in (app.config_values or {}) else ""


class MongoIndex(InvocationIndex):
    """The plugin's own collections, by its indexes."""

    def with_status(self, statuses: Iterable[InvocationStatus]) -> list[str]:
        """Every invocation in one of these statuses."""
        query = {"status": {"$in": [status.value for status in statuses]}}
        return [str(one["invocation_id"]) for one in self._invocations.find(query, {"invocation_id": 1})]

    def queued(self) -> set[str]:
        """Everything that stands in the queue."""
        return {str(one["invocation_id"]) for one in self._queue.find({}, {"_id": 0, "invocation_id": 1})}

    def queue_head(self, most: int) -> list[str]:
        """The ids that are next in the queue."""
        found = self._queue.find({}, {"_id": 0, "invocation_id": 1}).sort("created_at", 1).limit(most)
        return [str(one["invocation_id"]) for one in found]

    def silent_runners(self, seconds: float) -> list[str]:
        """Runners whose last heartbeat is older than that."""
        query = {"last_heartbeat": {"$lt": time.time() - seconds}}
        return [str(one["runner_id"]) for one in self._heartbeats.find(query, {"runner_id": 1})]

    def forget_runner(self, runner_id: str) -> None:
        """Remove a heartbeat, which the plugin never does."""
        self._heartbeats.delete_one({"runner_id": runner_id})

    def transition(
        self, invocation_id: str, status: InvocationStatus, runner_id: str | None = None
    ) -> InvocationStatusRecord:
        """Check and write a status in one step.

        The plugin's own takes a lock, in five; what breaks in between leaves it locked for 5 s, and then a result
        that could not be written is lost.

        :raises KeyError: there is no such invocation
        """
        while True:
            found = self._invocations.find_one({"invocation_id": invocation_id}, _RECORD)
            if found is None:
                raise KeyError(f"invocation {invocation_id} is not in MongoDB")
            current = InvocationStatusRecord(
                InvocationStatus(found["status"]), found["status_runner_id"], found["status_timestamp"]
            )
            new = status_record_transition(current, status, runner_id)
            written = self._invocations.update_one(
                {"invocation_id": invocation_id, **found},
                {
                    "$set": {
                        "status": new.status.value,
                        "status_runner_id": new.runner_id,
                        "status_timestamp": new.timestamp,
                    }
                },
            )
            if written.matched_count:
                return new

    def blocking(self, max_num_invocations: int) -> Iterator[InvocationId]:
        """What others wait for and waits for nothing itself.

        The plugin's own joins two collections each time it is asked, ten times a second; mostly nothing is waited for.
        """
        edges = self._app.orchestrator.cols.orchestrator_blocking_edges
        waited = set(edges.distinct("waited_id"))
        if not waited:
            return
        query = {
            "invocation_id": {"$in": list(waited - set(edges.distinct("waiter_id")))},
            "status": {"$in": [status.value for status in InvocationStatus.get_available_for_run_statuses()]},
        }
        for one in self._invocations.find(query, {"invocation_id": 1}).limit(max(0, max_num_invocations)):
            yield InvocationId(one["invocation_id"])

    @property
    def _invocations(self) -> Any:  # noqa: ANN401 - the plugin's wrapper of a collection
        return self._app.orchestrator.cols.orchestrator_invocations

    @property
    def _heartbeats(self) -> Any:  # noqa: ANN401
        return self._app.orchestrator.cols.orchestrator_runner_heartbeats

    @property
    def _queue(self) -> Any:  # noqa: ANN401
        return self._app.broker.cols.broker_message_queue
