"""Which benchmarks there are."""

import importlib
from typing import cast

from benchmarks.bench import Benchmark

NAMES = ("reaction", "lifecycle", "mixed", "worker", "idle")
NEEDS_KEDA = {"reaction", "mixed", "idle"}


def load(name: str) -> Benchmark:
    """The benchmark's module."""
    return cast("Benchmark", importlib.import_module(f"benchmarks.{name}"))
