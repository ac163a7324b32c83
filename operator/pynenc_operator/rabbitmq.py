"""Queues of RabbitMQ, counted on one connection for each URL, which leads to no local address.

By a passive declaration, which answers with the number of messages that are ready: exact, 0.25 ms, on the port that the
workers use too. The management API would need a plugin on the server, another port and a user with a tag, and its
figures are up to 5 s old.

pynenc's plugin keeps its connections by host, whoever has logged in on them, and tries for ever: so it has no part in
this. A test holds what is counted here against its count. What is done here blocks: it is called in threads.
"""

import threading
from typing import Final

from pynenc_operator.addresses import resolved
from pynenc_operator.backends import BrokerError, BrokerErrorKind
from pynenc_worker.amqp import AmqpConnection, connect
from pynenc_worker.amqp_frames import AmqpError
from pynenc_worker.amqp_url import AmqpUrl, AmqpUrlError, parse_amqp_url

CALL_SECONDS: Final = 1.0  # connecting, and then each call: a thread that nobody waits for ends after a few seconds
_NAME: Final = "pynenc-operator"
# AMQP's reply codes for who may not log in, and for a virtual host that there is not, or not for this user.
_ACCESS_REFUSED: Final = 403
_NOT_ALLOWED: Final = 530


def checked_amqp_url(url: str) -> AmqpUrl:
    """What the URL says; BrokerError if something in it isn't known."""
    try:
        return parse_amqp_url(url)
    except AmqpUrlError as error:
        raise BrokerError(BrokerErrorKind.REFUSED, str(error)) from None


class RabbitQueue:
    """One queue, as far as pynenc's broker would be asked of it."""

    def __init__(self, server: "RabbitServer", name: str) -> None:
        self._server = server
        self._name = name

    def count_invocations(self) -> int:
        """How many messages are ready; 0 too where the server says that there is no such queue yet."""
        return self._server.count(self._name)


class RabbitServer:
    """The connection of one URL; one count at a time, and a second try where it has been closed since the last one.

    A URL has user, password and virtual host in it: no other runner's is used.
    """

    def __init__(self, url: str, *, allow_local: bool) -> None:
        """It is connected to when a queue is first counted; BrokerError if something in the URL isn't known."""
        self._url = checked_amqp_url(url)
        self._allow_local = allow_local
        self._lock = threading.Lock()
        self._connection: AmqpConnection | None = None

    def queue(self, name: str) -> RabbitQueue:
        """A queue of this virtual host."""
        return RabbitQueue(self, name)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection:
                self._connection.close()

    def count(self, queue: str) -> int:
        """Count a queue; BrokerError or OSError if that can't be done in time."""
        if not self._lock.acquire(timeout=CALL_SECONDS):
            raise TimeoutError
        try:
            return self._count(queue)
        except AmqpError as error:
            raise _told(error) from None
        finally:
            self._lock.release()

    def _count(self, queue: str) -> int:
        if self._connection and not self._connection.closed:
            try:
                return self._connection.count(queue) or 0
            except TimeoutError:
                raise
            except OSError:
                if not self._connection.closed:
                    raise  # the server has answered, and refused
        addresses = resolved(self._url.host, self._url.port, allow_local=self._allow_local)
        self._connection = connect(self._url, addresses, name=_NAME, timeout=CALL_SECONDS)
        return self._connection.count(queue) or 0


def _told(error: AmqpError) -> BrokerError:
    if error.code == _NOT_ALLOWED:
        words = "there is no such virtual host, or not for this user"
        return BrokerError(BrokerErrorKind.AUTHENTICATION, words)
    kind = BrokerErrorKind.AUTHENTICATION if error.code == _ACCESS_REFUSED else BrokerErrorKind.UNREACHABLE
    return BrokerError(kind, str(error))
