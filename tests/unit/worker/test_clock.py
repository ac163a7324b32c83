"""The server's time, learned from Date headers of whole seconds."""

import pytest

from pynenc_worker.clock import ServerClock

DATE = "Wed, 25 Nov 2026 12:00:00 GMT"
NOON = 1795608000.0


@pytest.mark.parametrize("local", [NOON - 1.5, NOON, NOON + 0.9, NOON + 2.5])
def test_what_lies_within_a_second_and_a_request_is_no_skew(local: float) -> None:
    clock = ServerClock()
    clock.learn(DATE, sent=local, received=local + 0.1)
    assert clock.offset == 0.0


@pytest.mark.parametrize("skew", [-300.0, -5.0, 5.0, 300.0])
def test_a_skew_is_found_to_the_second(skew: float) -> None:
    clock = ServerClock()
    clock.learn(DATE, sent=NOON - skew, received=NOON - skew + 0.1)
    assert clock.offset == pytest.approx(skew, abs=1.0)


def test_a_known_skew_does_not_wander_with_the_fraction_of_the_second() -> None:
    clock = ServerClock()
    clock.learn(DATE, sent=NOON - 299.5, received=NOON - 299.4)
    first = clock.offset
    clock.learn(DATE, sent=NOON - 299.3, received=NOON - 299.2)
    assert clock.offset == first


@pytest.mark.parametrize("date", [None, "soon"])
def test_no_readable_date_changes_nothing(date: str | None) -> None:
    clock = ServerClock()
    clock.learn(date, sent=0.0, received=0.1)
    assert clock.offset == 0.0
