"""Which goals a benchmark judges itself by, and from which of its figures."""

from collections import Counter

import pytest

from benchmarks import burst, fleet, growth, idle, lifecycle, mixed, names, plots, reaction, worker
from benchmarks.bench import Benchmark
from benchmarks.results import MEDIAN, WORST, Results


def of(what: str, results: Results, benchmark: Benchmark, by: str = "") -> bool:
    [goal] = [goal for goal in benchmark.goals(results) if what in goal.what and by in goal.by]
    return goal.met


@pytest.mark.parametrize("name", names.NAMES)
def test_nothing_measured_meets_no_goal_and_breaks_nothing(name: str) -> None:
    benchmark = names.load(name)
    results = Results(name, benchmark.WHAT)
    assert not any(goal.met for goal in benchmark.goals(results))
    benchmark.ratios(results)
    assert name in plots.PANELS


def test_reaction_is_compared_by_medians_and_no_try_may_be_late() -> None:
    results = Results("reaction", "")
    for seconds in (0.1, 0.12, 0.9):
        results.add("ours", created=seconds)
    results.add("keda tuned", created=0.5)
    results.add("keda default", created=15.0)
    assert of("created", results, reaction, MEDIAN)
    assert not of("created", results, reaction, WORST)
    assert of("default polling", results, reaction)
    assert not of("KEDA tuned", results, reaction)


def mixed_results(**peer: object) -> Results:
    results = Results("mixed", "")
    mine = {"all done": 90.0, "pod-seconds": 700.0, "executions per task": 1.0}
    for name, values in (("ours", mine), ("keda jobs", {**mine, **peer})):
        results.add(f"{name}, a load", side=name, load="a load", **values)
    return results


def test_a_peer_that_needs_less_keeps_the_goal_from_being_met() -> None:
    assert of("pod-seconds", mixed_results(**{"pod-seconds": 800.0}), mixed)
    assert not of("pod-seconds", mixed_results(**{"pod-seconds": 600.0}), mixed)


def test_a_peer_that_is_not_done_is_no_measure() -> None:
    results = mixed_results(**{"pod-seconds": 100.0, "all done": None})
    assert of("pod-seconds", results, mixed)
    assert mixed.ratios(results) == {"a load": {}}


@pytest.mark.parametrize("load", [*mixed.WHOLE, *mixed.SHORT])
def test_a_load_has_each_of_its_tasks_once(load: mixed.Load) -> None:
    tasks = load.tasks()
    assert len({name for _, _, name in tasks}) == len(tasks) == load.long + load.short
    assert sum(seconds for _, seconds, _ in tasks) == load.seconds


def test_a_further_spell_costs_what_it_adds() -> None:
    results = Results("lifecycle", "")
    results.add("ours", scaler=3.0, worker=4.0)
    results.add("ours, 3 spells", scaler=3.0, worker=8.0)
    assert all(goal.met for goal in lifecycle.goals(results))
    results.add("ours, 3 spells", scaler=3.0, worker=9.0)
    assert not of("further busy spell", results, lifecycle)


def test_a_task_of_a_burst_costs_no_more_than_one_alone() -> None:
    results = Results("lifecycle", "")
    results.add("ours", scaler=3.0, worker=4.0)
    results.add(f"ours{lifecycle.BURST}", scaler=3.1, worker=4.0)
    assert not of("writes to pods", results, lifecycle)
    assert of("writes of a worker that", results, lifecycle)


def fleet_results(**values: float) -> Results:
    results = Results("fleet", "", settings={"pods": 10_000})
    results.add(fleet.ALL, **{"event to decision p99": values.get("decision", 0.05)})
    results.add(fleet.RESTING, **{"redis reads": 9.0, "cores": 0.1})
    for reads in (50.0, values.get("reads", 51.0)):
        results.add(fleet.OURS, **{"redis reads": reads, "cores": 0.2, "resident": 300.0, "tick lag p99": 0.4})
    return results


def test_a_fleet_is_judged_by_its_worst_window_of_reads_and_by_all_its_decisions() -> None:
    assert all(goal.met for goal in fleet.goals(fleet_results()))
    assert not of("one more for each report", fleet_results(reads=61.0), fleet)
    assert not of("event to decision", fleet_results(decision=0.11), fleet)


def test_rest_is_judged_by_its_worst_window() -> None:
    results = Results("idle", "")
    for size in idle.WHOLE:
        results.add(f"ours, {size}", requests=0.6)
        results.add(f"ours, {size}, all windows", cores=0.005)
    assert all(goal.met for goal in idle.goals(results))
    results.add("ours, 1000", requests=1.2)
    assert not of("1000 runners", results, idle)


def test_dry_runs_and_reads_are_no_writes() -> None:
    requests = {("create (dry run)", "pods"): 1, ("list", "pods"): 2, ("create", "pods"): 3}
    assert lifecycle.writes(Counter(requests)) == {("create", "pods"): 3}


def test_a_worker_is_judged_by_what_it_takes_more_than_stock() -> None:
    results = Results("worker", "")
    for name, start, tasks, held in (("ours", 1.0, 99.0, 46.0), ("stock", 0.95, 100.0, 42.0)):
        results.add(
            f"{name}, 1 thread",
            **{"first task after": start, "tasks per second": tasks, "resident": held, "private": held},
        )
    assert of("more memory than stock, 1 thread", results, worker)
    assert of("later with the first task than stock, 1 thread", results, worker)
    assert of("share of stock's, 1 thread", results, worker)


def test_leases_are_told_apart_at_rest() -> None:
    assert idle.but_leases(Counter({("update", "leases"): 5, ("list", "pods"): 2})) == 2


def test_a_rate_is_taken_between_the_first_and_the_last() -> None:
    assert burst.rate([10.0, 10.5, 11.0]) == 2.0
    assert burst.rate([10.0]) is None


def test_more_pods_than_wanted_fail_a_burst() -> None:
    results = Results("burst", "", settings={"pods": 10})
    results.add("ours", **{"rate": 80.0, "most pods": 11, "pods": 10})
    results.add("bare client", rate=100.0)
    assert of("share of the bare client's", results, burst)
    assert not of("pods at a time", results, burst)
    assert of("pods made", results, burst)
    results.add("ours", **{"rate": 90.0, "most pods": 10, "pods": 9})
    assert not of("pods made", results, burst)


def test_what_grows_as_the_square_of_its_size_fails() -> None:
    results = Results("growth", "")
    for size in (10, 32, 100, 316, 1000):
        rest = {"cores": size**2, "redis commands": 50 + size, "requests": 1.0, "resident": 90.0 + size**2 / 1e4}
        results.add(f"rest, {size} runners", kind="rest", size=size, **rest)
    assert growth.ratios(results)["rest: cores"] == 2.0
    assert not of("rest: cores", results, growth)
    assert not of("rest: resident", results, growth)
    assert of("requests a second", results, growth)
    assert of("rest: redis commands", results, growth)
    assert not of("burst: seconds", results, growth)  # it was not measured
