"""What is told of a backend's errors: never their texts, which may hold a URL with a password."""

import socket
import ssl

import pytest
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from pynenc_operator.backends import cause_of

SECRET = "redis://:pa55word@redis"


def raised_from(cause: Exception) -> RedisConnectionError:
    try:
        try:
            raise cause
        except type(cause):
            raise RedisConnectionError(SECRET)  # noqa: B904 - as redis-py does
    except RedisConnectionError as error:
        return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RedisConnectionError(SECRET), "ConnectionError"),
        (RedisTimeoutError(SECRET), "TimeoutError"),
        (AuthenticationError(SECRET), "AuthenticationError"),
        (socket.gaierror(-2, SECRET), "gaierror: its host's name does not resolve"),
        (raised_from(socket.gaierror(-2, SECRET)), "ConnectionError: its host's name does not resolve"),
        (
            raised_from(ssl.SSLCertVerificationError(1, SECRET)),
            "ConnectionError: the operator does not trust its certificate, or it is not for this host name",
        ),
        (raised_from(OSError(SECRET)), "ConnectionError"),
    ],
)
def test_an_error_is_told_by_its_class_and_what_it_was_raised_from(error: Exception, told: str) -> None:
    assert cause_of(error) == told
