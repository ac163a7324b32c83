"""Which errors mean that the broker is away, and what a task's thread does then."""

import sqlite3
import time
from collections.abc import Iterator

import pymongo.errors
import pytest
import redis

from pynenc_worker.outage import Backoff, OutageWatch, PatientCalls, is_hopeless, is_outage


def sqlite_error(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("said by SQLite")
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    "error",
    [
        redis.ConnectionError(),
        redis.AuthenticationError(),
        redis.BusyLoadingError(),
        redis.TimeoutError(),
        redis.ReadOnlyError(),
        ConnectionRefusedError(),
        TimeoutError(),
        pymongo.errors.ServerSelectionTimeoutError(),
        pymongo.errors.NetworkTimeout(),
        pymongo.errors.NotPrimaryError(),
        pymongo.errors.OperationFailure("AuthenticationFailed", code=18),
        pymongo.errors.WTimeoutError("waiting for replication timed out", code=64),
        sqlite_error("SQLITE_BUSY"),
        sqlite_error("SQLITE_IOERR_WRITE"),
    ],
)
def test_away(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        KeyError(),
        ValueError(),
        ModuleNotFoundError(),
        redis.ResponseError(),
        pymongo.errors.OperationFailure("FailedToParse", code=9),
        pymongo.errors.DuplicateKeyError("E11000", code=11000),
        sqlite_error("SQLITE_ERROR"),
    ],
)
def test_not_away(error: Exception) -> None:
    assert not is_outage(error)


@pytest.mark.parametrize(
    ("error", "hopeless"),
    [
        (redis.exceptions.MovedError("1 redis:6379"), [True, True]),
        (redis.exceptions.ResponseError("unknown command 'SET'"), [True, False]),  # later it may be one not needed
        (ValueError("a setting"), [True, False]),
        (redis.ConnectionError(), [False, False]),
    ],
    ids=lambda it: type(it).__name__ if isinstance(it, Exception) else "",
)
def test_what_is_no_use_to_wait_for_before_and_after_a_runner_is_ready(error: Exception, hopeless: list[bool]) -> None:
    assert [is_hopeless(error, ready=ready) for ready in (False, True)] == hopeless


def test_pauses_grow_up_to_a_bound() -> None:
    backoff = Backoff(first=1.0, longest=4.0)
    pauses = [backoff.pause() for _ in range(5)]
    assert all(0.75 * most <= pause <= most for pause, most in zip(pauses, (1, 2, 4, 4, 4), strict=True))
    backoff.reset()
    assert backoff.pause() <= 1.0


def test_an_outage_is_over_when_the_broker_answers_and_not_when_nobody_asks(caplog: pytest.LogCaptureFixture) -> None:
    away, begins, ends = [True], [], []

    def ask() -> None:
        if away:
            raise redis.ConnectionError

    watch = OutageWatch(
        on_error=lambda: None, on_begin=lambda: begins.append(1), on_end=lambda: ends.append(1), ask=ask
    )
    watch.succeeded()
    watch.failed(redis.ConnectionError())
    for _ in range(10):
        with pytest.raises(redis.ConnectionError):
            watch.succeeded()
        watch.failed(redis.ConnectionError())
    assert (begins, ends) == ([1], [])
    assert watch.failed(redis.ConnectionError()) > 2.0  # the pauses have grown
    away.clear()
    watch.succeeded()
    watch.succeeded()
    assert (begins, ends) == ([1], [1])
    assert watch.failed(redis.ConnectionError()) < 0.5
    assert len(caplog.records) == 2  # a line each for two outages


def test_a_tasks_call_waits_and_the_loops_call_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    errors, left = [], [3]

    def write(value: int) -> int:
        if left[0]:
            left[0] -= 1
            raise redis.ConnectionError
        return value

    calls = PatientCalls(on_error=lambda: errors.append(1))
    patient = calls._patient("write", write)
    with pytest.raises(redis.ConnectionError):
        patient(1)
    assert errors == []
    calls.in_task("an id")
    assert patient(2) == 2
    assert len(errors) == 2


def test_a_tasks_call_that_is_wrong_is_not_repeated() -> None:
    calls = PatientCalls(on_error=lambda: None)
    calls.in_task("an id")
    seen = []

    def write() -> None:
        seen.append(1)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the one above
        calls._patient("write", write)()
    assert seen == [1]


def test_a_lazy_answer_is_read_while_it_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    left = [1]

    def read() -> Iterator[int]:
        yield 1
        if left[0]:
            left[0] -= 1
            raise redis.ConnectionError
        yield 2

    calls = PatientCalls(on_error=lambda: None)
    calls.in_task("an id")
    assert list(calls._patient("read", read)()) == [1, 2]
