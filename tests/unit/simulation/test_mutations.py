"""That the simulation sees what it is there to see: each guard of a busy pod, taken away, is missed soon."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest

from pynenc_operator import leaving
from pynenc_operator.actuator import Actuator
from pynenc_operator.decision import Delete, Step
from pynenc_operator.model import Key, WorkerStatus
from pynenc_operator.pool import Pool
from pynenc_operator.runnerspec import RunnerSpec
from tests.unit.simulation import anything, worstmoments
from tests.unit.simulation.seeds import Result, run_seed

type Json = dict[str, Any]

SEEDS: Final = 4000


def first_problem(moment: worstmoments.Moment) -> Result | None:
    """What does not hold first, with the seeds that bring about this moment."""
    results = map(run_seed, anything.seeds_of(moment, SEEDS))
    return next((result for result in results if result.problem), None)


def test_without_the_preconditions_of_a_deletion_a_busy_pod_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Actuator._take

    async def take_whatever_it_is_now(self: Actuator, key: Key, step: Step) -> Json:
        if isinstance(step, Delete):
            step = replace(step, pod=replace(step.pod, uid="", resource_version=""))
        return await take(self, key, step)

    monkeypatch.setattr(Actuator, "_take", take_whatever_it_is_now)

    found = first_problem(worstmoments.a_maximum_lowered_in_a_cold_start)

    assert found
    assert found.busy_pods_deleted == 1


def test_without_the_comparison_of_drain_ids_a_busy_pod_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    over = leaving.over

    def over_with_any_answer(spec: RunnerSpec, pool: Pool, now: float) -> Iterator[object]:
        answered = tuple(replace(pod, drain_answer=pod.drain_request) for pod in pool.draining)
        return over(spec, replace(pool, draining=answered), now)

    monkeypatch.setattr(leaving, "over", over_with_any_answer)

    found = first_problem(worstmoments.a_pin_to_and_fro)

    assert found
    assert found.busy_pods_deleted == 1


def test_without_the_idle_check_a_pod_is_asked_to_leave_too_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkerStatus, "is_idle", lambda *_: True)

    found = first_problem(worstmoments.work_at_the_idle_timeout)

    assert found
    assert "is asked to leave for idleness" in found.problem
