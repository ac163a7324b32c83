"""Which errors of redis-py say that another server than this one is needed, and which ones pass."""

import pytest
import redis
from redis.exceptions import (
    AskError,
    ClusterCrossSlotError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
)

from pynenc_worker.redisservers import unsuitable


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MovedError("3999 redis-1.s3cret:6379"), "a node of a Redis Cluster"),
        (AskError("3999 redis-1.s3cret:6379"), "a node of a Redis Cluster"),
        (ClusterCrossSlotError("s3cret"), "a node of a Redis Cluster"),
        (ClusterDownError("s3cret"), "a node of a Redis Cluster"),
        (ResponseError("unknown command 'SET', with args beginning with: 's3cret'"), "as a Sentinel does"),
        (ResponseError("Command # 1 (SET s3cret) of pipeline caused error: unknown command `SET`"), "as a Sentinel"),
    ],
    ids=lambda it: type(it).__name__ if isinstance(it, Exception) else "",
)
def test_a_server_that_can_not_be_used_is_told_with_the_mend_and_without_its_own_words(
    error: Exception, told: str
) -> None:
    words = unsuitable(error)
    assert words
    assert told in words
    assert "name one server" in words
    assert "s3cret" not in words


@pytest.mark.parametrize(
    "error",
    [
        MasterDownError("Link with MASTER is down"),
        ReadOnlyError("You can't write against a read only replica."),
        NoPermissionError("this user has no permissions to run the 'unknown command' command"),
        redis.ConnectionError("unknown command"),
        ResponseError("wrong number of arguments for 'set' command"),
        ConnectionRefusedError(),
    ],
    ids=lambda it: type(it).__name__,
)
def test_an_outage_or_a_lacking_right_is_none_of_it(error: Exception) -> None:
    assert unsuitable(error) is None
