"""What is remembered of a queue between two counts."""

from pynenc_operator.depthwindow import DepthWindow
from pynenc_operator.questions import QueueCount


def test_the_peak_is_the_highest_count_of_two_seconds() -> None:
    window = DepthWindow()
    assert (
        window.counted(0.0, QueueCount(9)).count,
        window.counted(1.5, QueueCount(2)).peak,
        window.counted(2.1, QueueCount(3)).peak,
    ) == (9, 9, 3)


def test_a_queue_waits_since_it_was_last_empty_and_falls_when_a_count_is_lower() -> None:
    window = DepthWindow()
    seen = [window.counted(float(at), QueueCount(count)) for at, count in enumerate((0, 3, 3, 5, 4, 4))]
    assert [depth.waiting_since for depth in seen] == [None, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert [depth.fell_at for depth in seen] == [None, None, None, None, 4.0, 4.0]
    assert window.counted(9.0, QueueCount(0)).waiting_since is None
    window.counted(10.0, QueueCount(2))
    window.failed(11.0)
    assert window.counted(12.0, QueueCount(2)).waiting_since == 12.0
    assert window.counted(13.0, QueueCount(2, stayed=1)).waiting_since == 12.0
    assert window.counted(14.0, QueueCount(2, stayed=0)).waiting_since == 14.0


def test_an_outage_begins_with_its_first_failed_count_and_ends_with_a_count() -> None:
    window = DepthWindow()
    assert window.failed(5.0) == 5.0
    assert window.failed(9.0) == 5.0
    assert window.counted(10.0, QueueCount(1)).count == 1
    assert window.failed(11.0) == 11.0
