"""The queue on RabbitMQ, in the place of pynenc-rabbitmq's own.

The plugin's takes no TLS, keeps user and password from the start, tries for ever by default, opens a channel for each
call, and takes a name that does not resolve for an empty queue, or for a message that was sent. It also takes messages
unacknowledged: what a worker that dies has just taken is lost. This one holds a message until the runner's round is
over, in which it has become PENDING or has been decided about: RabbitMQ queues it again by itself if the worker dies.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from pynenc import Pynenc

from pynenc_worker import redis_backend
from pynenc_worker.amqp import AmqpConnection, connect
from pynenc_worker.amqp_url import AmqpUrl, AmqpUrlError, parse_amqp_url
from pynenc_worker.config import ConfigError

CALL_SECONDS: Final = 5.0  # as the Redis plugin's own
HEARTBEAT_SECONDS: Final = 60  # a worker whose node is lost is found out within two of them
_PREFIX: Final = "PYNENC__RABBITMQ_"


def parse(url: str) -> AmqpUrl:
    """What the URL says.

    :raises ConfigError: something in it isn't known
    """
    try:
        return parse_amqp_url(url)
    except AmqpUrlError as error:
        raise ConfigError(f"the backend's URL can't be used: {error}") from None


def settings(url: str, queue_prefix: str) -> dict[str, str]:
    """What the resource says as pynenc's settings, by the names of environment variables; no user, no password.

    The number of attempts is for who makes a broker of the plugin's own, in a child process.

    :raises ConfigError: something in the URL isn't known
    """
    server = parse(url)
    return {
        _PREFIX + "HOST": server.host,
        _PREFIX + "PORT": str(server.port),
        _PREFIX + "VIRTUAL_HOST": server.vhost,
        _PREFIX + "QUEUE_PREFIX": queue_prefix,
        _PREFIX + "RETRY_MAX_ATTEMPTS": "3",
    }


class _Link:
    """One connection for all threads, in turn; a new one where there is none."""

    def __init__(self, read_url: Callable[[], str], client: str, heartbeat: int) -> None:
        self._read_url = read_url
        self._client = client
        self._heartbeat = heartbeat
        self._lock = threading.Lock()
        self._connection: AmqpConnection | None = None

    @property
    def is_open(self) -> bool:
        return self._connection is not None and not self._connection.closed

    @contextmanager
    def in_turn(self) -> Iterator[AmqpConnection]:
        """The connection. What goes wrong with it is a ConnectionError or a TimeoutError."""
        if not self._lock.acquire(timeout=CALL_SECONDS):
            raise TimeoutError("the connection is in use")
        try:
            yield self._connected()
        except (ConnectionError, TimeoutError):
            raise
        except (OSError, ConfigError) as error:  # a name that does not resolve, a Secret that is gone for the moment
            raise ConnectionError(type(error).__name__) from None
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the connection in order, unless a thread that was left behind has it."""
        if self._connection and self._lock.acquire(blocking=False):
            self._connection.close()

    def _connected(self) -> AmqpConnection:
        if self._connection is None or self._connection.closed:
            url = parse(self._read_url())
            found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
            self._connection = connect(
                url, addresses, name=self._client, timeout=CALL_SECONDS, heartbeat=self._heartbeat
            )
        return self._connection


class RabbitQueue:
    """What the plugin's broker asks of its queue, by the same names.

    It takes on one connection and sends on another: a RabbitMQ that is short of memory or disk stops reading from all
    that send, and what is queued has to be taken for it to recover.
    """

    def __init__(self, name: str, read_url: Callable[[], str], client: str) -> None:
        """`read_url`: asked for each new connection, so that a rotated password is found; `client`: who connects."""
        self._name = name
        self._taking = _Link(read_url, client, HEARTBEAT_SECONDS)
        self._sending = _Link(read_url, client, heartbeat=0)  # nothing is held on it that would have to be found out

    def publish_message(self, message: str) -> None:
        """Queue a message; the server keeps it when this returns.

        :raises ConnectionError: it is not known to be queued
        :raises TimeoutError: the same
        """
        with self._sending.in_turn() as connection:
            if not connection.publish(self._name, message.encode()):
                connection.declare(self._name)
                if not connection.publish(self._name, message.encode()):
                    raise ConnectionError("the queue is gone as soon as it is made")

    def consume_message(self) -> str | None:
        """Take a message; it is acknowledged by `settle`."""
        with self._taking.in_turn() as connection:
            body = connection.get(self._name)
        return None if body is None else body.decode()

    def get_message_count(self) -> int:
        """How many messages are ready; 0 too where there is no such queue."""
        with self._taking.in_turn() as connection:
            return connection.count(self._name) or 0

    def purge_queue(self) -> None:
        """Remove what is ready."""
        with self._taking.in_turn() as connection:
            connection.purge(self._name)

    def settle(self) -> None:
        """The round is over: what was taken in it is decided about. Also keeps the connection open while all run."""
        if self._taking.is_open:
            with self._taking.in_turn() as connection:
                connection.acknowledge()
                connection.beat()

    def close(self) -> None:
        """Close the connections in order."""
        self._taking.close()
        self._sending.close()


def install(app: Pynenc, read_url: Callable[[], str], client: str) -> "RabbitIndex":
    """Give the app's broker this queue instead of the plugin's, and its orchestrator what it has on Redis.

    :raises ConfigError: the plugin's release has another shape
    """
    if not hasattr(type(app.broker), "_message_queue"):
        raise ConfigError("this release of pynenc-rabbitmq is not known: 0.1.6 is")
    queue = RabbitQueue(f"{app.broker.conf.rabbitmq_queue_prefix}_broker_messages", read_url, client)
    app.broker._message_queue = queue  # noqa: SLF001 - the plugin offers no other way
    redis_backend.install(app, app.orchestrator)
    return RabbitIndex(app, queue)


class RabbitIndex(redis_backend.RedisStates):
    """States are in Redis; what stands in the queue, RabbitMQ does not show without giving it out."""

    def __init__(self, app: Pynenc, queue: RabbitQueue) -> None:
        super().__init__(app)
        self._queue = queue

    def round_over(self) -> None:
        """Acknowledge what was taken."""
        self._queue.settle()

    def close(self) -> None:
        """Close the queue's connection."""
        self._queue.close()

    def ask(self) -> None:
        """Ask both servers something."""
        super().ask()
        self._app.orchestrator.client.ping()
