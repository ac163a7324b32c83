"""When a worker that rests takes work."""

import pytest

from pynenc_worker.packing import MANY, Packing


class Queue:
    """A queue and a clock."""

    def __init__(self) -> None:
        self.ids: list[str] | None = []
        self.now = 1000.0
        self.looks = 0

    def head(self, most: int) -> list[str] | None:
        self.looks += 1
        return None if self.ids is None else self.ids[:most]

    def clock(self) -> float:
        return self.now


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def packing(queue: Queue) -> Packing:
    return Packing(queue.head, queue.clock)


def looks(packing: Packing, queue: Queue, rested: float, times: int) -> list[bool]:
    """What a worker may at each of its looks, a tenth of a second apart."""
    answers = []
    for _ in range(times):
        answers.append(packing.may_take(rested))
        queue.now += 0.1001
    return answers


def test_a_worker_that_works_takes_at_once_and_does_not_even_look(packing: Packing, queue: Queue) -> None:
    assert packing.may_take(0.0)
    assert packing.may_take(0.4)
    assert queue.looks == 0


@pytest.mark.parametrize(("rested", "waits"), [(0.6, 1), (9.9, 1), (10.1, 2), (3600.0, 2)])
def test_one_that_rests_takes_what_was_left_alone(packing: Packing, queue: Queue, rested: float, waits: int) -> None:
    assert looks(packing, queue, rested, 3) == [False] * 3
    queue.ids = ["a"]
    assert looks(packing, queue, rested, waits + 1) == [False] * waits + [True]


def test_one_that_rests_leaves_what_others_take_in_time(packing: Packing, queue: Queue) -> None:
    for number in range(50):
        queue.ids = [str(number)]
        assert not packing.may_take(5.0)
        queue.now += 0.1


def test_what_waits_behind_a_moving_head_counts_as_left_alone(packing: Packing, queue: Queue) -> None:
    queue.ids = ["a", "b", "c"]
    assert not packing.may_take(5.0)
    queue.now += 0.1
    queue.ids = ["c", "d"]
    assert packing.may_take(5.0)


def test_what_others_go_before_again_and_again_counts_as_left_alone(packing: Packing, queue: Queue) -> None:
    """As by a stream of a higher priority, or in another queue that comes first."""
    for soon in ("a", "b"):
        queue.ids = [soon, "late"]
        assert not packing.may_take(60.0)
        queue.now += 0.1
    queue.ids = ["c", "late"]
    assert packing.may_take(60.0)


def test_in_a_backlog_every_hand_is_needed(packing: Packing, queue: Queue) -> None:
    queue.ids = [str(number) for number in range(MANY - 1)]
    assert not packing.may_take(60.0)
    queue.ids = [str(number) for number in range(MANY, 2 * MANY)]
    assert packing.may_take(60.0)


def test_a_queue_that_can_not_be_looked_into_is_taken_from(packing: Packing, queue: Queue) -> None:
    queue.ids = None
    assert packing.may_take(60.0)


def test_what_was_seen_before_the_last_task_is_forgotten(packing: Packing, queue: Queue) -> None:
    queue.ids = ["a"]
    assert not packing.may_take(5.0)
    assert packing.may_take(0.0)
    queue.now += 60
    assert not packing.may_take(5.0)  # it came back
