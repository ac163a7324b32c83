"""What the kernel tells of a process."""

import os
import time

import pytest

from benchmarks import proc

STAT = "7 (a (strange) name) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 12345 1000 10 18446744073709551615\n"


def test_a_name_with_brackets_and_spaces_does_not_shift_the_fields() -> None:
    assert proc.cpu_seconds(STAT) == 300 / proc.TICKS
    assert proc.started(STAT, 1000.0) == 1000 + 12345 / proc.TICKS


def test_private_memory_is_what_no_other_process_shares() -> None:
    rollup = "00-ff ---p 00000000 00:00 0 [rollup]\nRss: 2048 kB\nPrivate_Clean: 256 kB\nPrivate_Dirty: 768 kB\n"
    assert proc.memory(rollup) == proc.Memory(resident=2.0, private=1.0)


def test_this_process_has_begun_and_costs_something() -> None:
    assert proc.cpu_of(os.getpid()) > 0
    assert proc.start_of(os.getpid()) == pytest.approx(time.time(), abs=7200)
    held = proc.memory_of(os.getpid())
    assert held.resident >= held.private > 0
