"""The API server's time from `Date` headers."""

from email.utils import formatdate

import pytest

from pynenc_operator.clock import Clock


class Machine:
    """A machine whose local clock is `skew` seconds off, and the server's true time."""

    def __init__(self, skew: float) -> None:
        self.seconds = 0.0
        self.started = 1_800_000_000.25
        self.skew = skew
        self.clock = Clock(wall=lambda: self.true + self.skew, monotonic=lambda: self.seconds)

    @property
    def true(self) -> float:
        return self.started + self.seconds

    def ask(self, latency: float = 0.01) -> None:
        sent = self.seconds
        self.seconds += latency / 2
        date = formatdate(int(self.true), usegmt=True)
        self.seconds += latency / 2
        self.clock.observe(date, sent, self.seconds)


@pytest.mark.parametrize("skew", [300.0, -300.0])
def test_a_clock_five_minutes_off_is_right_to_a_second_after_one_answer(skew: float) -> None:
    machine = Machine(skew)
    assert machine.clock.now() == pytest.approx(machine.true + skew)
    machine.ask()
    assert machine.clock.now() == pytest.approx(machine.true, abs=1.02)


def test_more_answers_make_it_better_and_never_worse() -> None:
    machine = Machine(-300.0)
    worst = []
    for _ in range(200):
        machine.ask()
        worst.append(abs(machine.clock.now() - machine.true))
        machine.seconds += 1.37
    assert worst == sorted(worst, reverse=True)
    assert worst[-1] < 0.05


def test_a_right_clock_is_left_alone() -> None:
    machine = Machine(0.0)
    for _ in range(100):
        machine.ask(latency=0.5)
        machine.seconds += 0.77
        assert machine.clock.now() == pytest.approx(machine.true, abs=1e-6)


def test_a_step_of_the_local_clock_changes_nothing() -> None:
    machine = Machine(0.0)
    machine.ask()
    machine.skew = 3600.0
    assert machine.clock.now() == pytest.approx(machine.true, abs=1e-6)


@pytest.mark.parametrize("header", [None, "", "soon", "Wed, 99 Nov 2026 25:00:00 GMT"])
def test_a_header_without_sense_changes_nothing(header: str | None) -> None:
    machine = Machine(7.0)
    machine.clock.observe(header, 0.0, 0.0)
    assert machine.clock.now() == pytest.approx(machine.true + 7.0)
