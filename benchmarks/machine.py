"""What a result was measured on: the machine, without what would name it, and the code."""

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

type Json = dict[str, Any]

CPU_INFO, MEMORY_INFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")


def facts() -> Json:
    """Cores, memory, kernel and processor, and how busy the machine was just before."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": memory_gib(MEMORY_INFO.read_text()),
        "cpu": cpu_model(CPU_INFO.read_text()),
        "architecture": platform.machine(),
        "kernel": kernel(platform.release()),
        "python": ".".join(map(str, sys.version_info[:3])),
        "load_before": round(os.getloadavg()[0], 2),
    }


def revision() -> str:
    """The commit that is checked out; -dirty behind it, where other than results was changed since."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--", ":/", ":(top,exclude)benchmarks/results")
    return f"{commit or 'unknown'}{'-dirty' if changed else ''}"


def _git(*words: str) -> str:
    line = ["git", "-C", str(Path(__file__).parent), *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=30, check=False).stdout.strip()


def memory_gib(text: str) -> float:
    """The machine's memory, from /proc/meminfo."""
    total = next(line.split()[1] for line in text.splitlines() if line.startswith("MemTotal:"))
    return round(int(total) / 1024**2, 1)


def cpu_model(text: str) -> str:
    """The processor's name, from /proc/cpuinfo, where it has one."""
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(names, "unknown")


def kernel(release: str) -> str:
    """The kernel's version without what its builder has called it."""
    return release.partition("-")[0]
