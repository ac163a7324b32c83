"""Which benchmarks there are."""

import importlib
from typing import cast

from benchmarks.bench import Benchmark

NAMES = ("reaction", "lifecycle", "mixed", "worker", "idle", "burst", "fleet", "growth")
# What has to be built besides the cluster's own programs.
PROGRAMS = {
    **dict.fromkeys(("reaction", "lifecycle", "mixed", "idle"), ("keda",)),
    **dict.fromkeys(("burst", "fleet"), ("keda", "kwok")),
    "growth": ("kwok",),
}


def load(name: str) -> Benchmark:
    """The benchmark's module."""
    return cast("Benchmark", importlib.import_module(f"benchmarks.{name}"))
