"""What a benchmark is given and what it has to be."""

import sys
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from benchmarks.results import Goal, Results

type Json = dict[str, Any]


class Benchmark(Protocol):
    """A module with these: it fills the results while it runs, so that what was measured until then is kept."""

    WHAT: str

    def measure(self, run: "Run") -> None:
        """Make all tries."""

    def goals(self, results: Results) -> list[Goal]:
        """What was to be reached."""
        ...

    def ratios(self, results: Results) -> Json:
        """How ours and the peers compare."""
        ...


@dataclass
class Run:
    """One run of a benchmark."""

    results: Results
    short: bool  # few tries, to see that it runs
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """A line of progress, with the time since the begin."""
        elapsed = int(time.monotonic() - self.began)
        print(f"[{elapsed // 60:02}:{elapsed % 60:02}] {text}", file=sys.stderr, flush=True)
