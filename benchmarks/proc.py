"""What a process has cost so far, as the kernel tells it."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024**2


@dataclass(frozen=True)
class Memory:
    """In MiB: what of it is in memory, and what of that no other process shares."""

    resident: float
    private: float


def cpu_seconds(stat: str) -> float:
    """Time on a processor, of all threads, from /proc/PID/stat."""
    user, system = _fields(stat)[11:13]
    return (int(user) + int(system)) / TICKS


def started(stat: str, boot: float) -> float:
    """When a process began (Unix seconds), to a hundredth of a second, from /proc/PID/stat and the machine's start."""
    return boot + int(_fields(stat)[19]) / TICKS


def memory(rollup: str) -> Memory:
    """From /proc/PID/smaps_rollup."""
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}
    private = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    return Memory(round(kilobytes["Rss"] * 1024 / MIB, 2), round(private * 1024 / MIB, 2))


def cpu_of(*pids: int) -> float:
    """Processor seconds of processes together."""
    return sum(cpu_seconds(Path(f"/proc/{pid}/stat").read_text()) for pid in pids)


def start_of(pid: int) -> float:
    """When a process began, in Unix seconds."""
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return started(Path(f"/proc/{pid}/stat").read_text(), boot)


def memory_of(pid: int) -> Memory:
    """What a process has in memory."""
    return memory(Path(f"/proc/{pid}/smaps_rollup").read_text())


def _fields(stat: str) -> list[str]:
    """Those after the process' name, which may hold anything; the first is its state."""
    return stat.rpartition(")")[2].split()
