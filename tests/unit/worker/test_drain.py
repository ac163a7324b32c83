"""Asked, taken back, stopped: who may still take work, and until when."""

from pynenc_worker.drain import Drain


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_request_can_be_taken_back_and_its_time_with_it() -> None:
    clock = Clock()
    drain = Drain(timeout=10, clock=clock)
    drain.request("a")
    assert drain.active
    assert not drain.stopping
    clock.now = 9
    drain.request("")
    assert not drain.active
    clock.now = 20
    drain.request("b")
    assert not drain.expired
    clock.now = 30
    assert drain.expired


def test_a_stop_is_for_good_and_keeps_its_first_reason_and_time() -> None:
    clock = Clock()
    drain = Drain(timeout=10, clock=clock)
    drain.stop("SIGTERM")
    clock.now = 5
    drain.stop("refused reports")
    drain.request("a")
    drain.request("")
    assert (drain.active, drain.stopping, drain.stop_reason) == (True, True, "SIGTERM")
    clock.now = 10
    assert drain.expired


def test_a_stop_after_a_request_does_not_begin_anew() -> None:
    clock = Clock()
    drain = Drain(timeout=10, clock=clock)
    drain.request("a")
    clock.now = 8
    drain.stop("SIGTERM")
    clock.now = 10
    assert drain.expired


def test_giving_up_is_an_early_timeout() -> None:
    drain = Drain(timeout=1000, clock=Clock())
    drain.stop("SIGINT")
    assert not drain.expired
    drain.hand_back_now()
    assert drain.expired
