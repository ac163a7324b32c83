"""The pool in virtual time with many seeds: no busy pod is ever deleted, and all else that must hold holds."""

import time
from typing import Final

import pytest

from tests.unit.simulation.seeds import Sum, run_seeds

SEEDS: Final = 2000
PROGRESS_SECONDS: Final = 5.0


@pytest.mark.timeout(1800)  # a minute and a half on two idle cores
def test_all_that_must_hold_holds_with_every_seed(capsys: pytest.CaptureFixture[str]) -> None:
    total, problems, told_at = Sum(), [], time.monotonic()
    for result in run_seeds(range(SEEDS)):
        total.add(result)
        if result.problem:
            problems.append(f"seed {result.seed} (make simulate SEED={result.seed}): {result.problem}")
        if time.monotonic() - told_at > PROGRESS_SECONDS:
            told_at = time.monotonic()
            with capsys.disabled():
                print(f"\n... {total}, {total.failed} failed", end="", flush=True)
    assert not problems, f"{total}, {total.failed} failed; the first of them:\n" + "\n\n".join(problems[:3])
    assert total.seeds == SEEDS
    assert total.scale_downs >= SEEDS
    assert total.busy_pods_deleted == 0
