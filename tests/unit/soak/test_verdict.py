"""What must hold of a long run: each check passes where it holds, and fails where it does not."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.soak.facts import Death, Done, Execution, Facts, Operators, RunnerFacts, Sample
from tests.soak.plan import MINUTE, Kind
from tests.soak.summary import lines
from tests.soak.verdict import Check, again, judge

SERIES = frozenset({'pynenc_operator_pods{runner="reports",runner_namespace="a"}', "pynenc_operator_leader"})
OPERATOR = Operators("1-1", 80_000, 7, 19, 5, 3, SERIES)
AT_REST = Sample(0, OPERATOR, {"a": 0}, {"a": 1})


def sample(at: float, **operators: object) -> Sample:
    return replace(AT_REST, at=at, operator=replace(OPERATOR, **operators))  # type: ignore[arg-type]


def facts() -> Facts:
    """A run in which all holds: two tasks, of which one ran again after its worker was killed."""
    runner = RunnerFacts(
        most=4,
        peak=4,
        called={"short-0": 5.0, "short-1": 5.0},
        succeeded=2,
        histories={"short-0": ["running", "success"], "short-1": ["running", "success"]},
        executions=[
            Execution("short-0", "reports-0", 100.0),
            Execution("short-1", "reports-1", 100.0),
            Execution("short-1", "reports-0", 130.0),
        ],
        keys=Counter({"demo:executions": 1}),
        pods=2,
    )
    return Facts(
        runners={"a": runner},
        before=[AT_REST, AT_REST],
        samples=[sample(number * 10.0) for number in range(180)],
        rested=26 * MINUTE,
        ended=30 * MINUTE,
        faults=[Done(Kind.WORKER_KILLED, "a", 110.0, 110.0)],
        deaths=[Death("a", "reports-1", "uid", created=90.0, killed=110.0)],
        trouble=[],
    )


def failed(found: Facts) -> list[str]:
    return [check.what for check in judge(found) if check.holds is False]


def of(found: Facts, word: str) -> Check:
    [check] = [check for check in judge(found) if word in check.what]
    return check


def test_all_holds_of_a_run_that_left_nothing() -> None:
    assert all(check.holds for check in judge(facts()))
    assert again(facts()) == {"a: short-1": "killed with its worker reports-1"}


def test_a_task_that_is_not_done_fails_it() -> None:
    found = facts()
    found.runners["a"].histories["short-0"] = ["running"]
    assert failed(found) == ["every task is done"]
    found = facts()
    found.runners["a"].succeeded = 1
    assert failed(found) == ["every task is done"]


@pytest.mark.parametrize(
    "death",
    [Death("a", "reports-1", "", 101, 110), Death("a", "reports-1", "", 90, 99), Death("a", "reports-1", "", 90, 200)],
)
def test_a_task_that_ran_again_though_its_worker_was_not_killed_in_its_midst_fails_it(death: Death) -> None:
    found = replace(facts(), deaths=[death])
    assert failed(found) == ["each ran once, unless a fault killed its worker"]
    assert again(found) == {"a: short-1": ""}
    assert any("NOBODY KNOWS WHY" in line for line in lines(found, judge(found)))


def test_a_death_of_another_runners_pod_of_the_same_name_explains_nothing() -> None:
    found = replace(facts(), deaths=[Death("b", "reports-1", "", 90, 110)])
    assert again(found) == {"a: short-1": ""}


def test_a_task_that_never_ran_fails_it() -> None:
    found = facts()
    del found.runners["a"].executions[0]
    assert "short-0 never" in of(found, "each ran once").detail


def test_memory_may_grow_by_a_tenth_after_minute_five() -> None:
    found = facts()
    found.samples = [sample(s.at, kilobytes=80_000 if s.at < 8 * MINUTE else 87_900) for s in found.samples]
    assert failed(found) == []
    found.samples = [sample(s.at, kilobytes=80_000 if s.at < 8 * MINUTE else 88_100) for s in found.samples]
    assert failed(found) == [of(found, "memory").what]


def test_memory_of_a_run_that_was_too_short_is_not_judged() -> None:
    found = replace(facts(), ended=6 * MINUTE, rested=3 * MINUTE)
    found.samples = [s for s in found.samples if s.at < 6 * MINUTE]
    assert of(found, "memory").holds is None
    assert failed(found) == []


def test_memory_is_compared_within_one_life_of_the_operator_which_only_faults_may_end() -> None:
    found = facts()
    found.samples = [sample(s.at, process="1-1" if s.at < 3 * MINUTE else "2-2") for s in found.samples]
    assert failed(found) == []
    found.samples = [sample(s.at, process="1-1" if s.at < 8 * MINUTE else "2-2") for s in found.samples]
    assert failed(found) == [of(found, "memory").what]


@pytest.mark.parametrize(
    ("use", "many", "what"),
    [
        ("threads", 11, "threads"),
        ("to_api", 10, "connections to the API server"),
        ("others", 4, "other connections"),
        ("files", 20, "open files"),
    ],
)
def test_what_the_operator_uses_is_as_at_rest_before(use: str, many: int, what: str) -> None:
    found = replace(facts(), executor=6)
    other = {"others": {"files": 20}, "to_api": {"files": 24}}.get(use, {})  # a connection is a file
    found.samples = [sample(s.at, **other, **{use: many}) if s.at < 20 * MINUTE else s for s in found.samples]
    assert failed(found) == []
    found.samples = [sample(s.at, **other, **{use: many}) for s in found.samples]
    [failure] = failed(found)
    assert failure.startswith(f"the operator's {what}")


def test_threads_that_the_event_loop_keeps_may_stay() -> None:
    found = replace(facts(), executor=6)
    found.samples = [sample(s.at, threads=10) for s in found.samples]
    assert failed(found) == []


CODE = 'pynenc_operator_kube_api_requests_total{code="%s",resource="pods"}'


def seen(before: set[str], after: set[str]) -> list[str]:
    found = facts()
    found.before = [sample(0, series=SERIES | before)]
    found.samples = [sample(s.at, series=SERIES | after) for s in found.samples]
    return failed(found)


def test_an_answer_or_a_reason_that_had_not_come_before_is_no_series_too_many() -> None:
    error = 'pynenc_operator_broker_errors_total{kind="Timeout",runner="reports",runner_namespace="a"}'
    assert seen({CODE % 200}, {CODE % 200, CODE % 409, error}) == []


@pytest.mark.parametrize(
    "series",
    ['x{pod="reports-0"}', 'x{runner="gone"}', 'x{app="reports.old",runner="reports"}', 'x{runner_namespace="b"}'],
)
def test_a_series_of_what_was_not_there_before_fails_it(series: str) -> None:
    [what] = seen(set(), {series})
    assert what.startswith("the series are")


def test_a_label_of_many_values_fails_it() -> None:
    [what] = seen(set(), {CODE % number for number in range(31)})
    assert what.startswith("the series are")


def test_series_that_still_grow_at_rest_fail_it() -> None:
    found = facts()
    found.samples = [sample(s.at, series=SERIES | {CODE % (s.at >= 29 * MINUTE)}) for s in found.samples]
    assert failed(found) == [of(found, "series").what]


@pytest.mark.parametrize(("what", "word"), [("pods", "pods are"), ("clients", "to Redis")])
def test_a_pod_or_a_connection_that_is_left_fails_it(what: str, word: str) -> None:
    found = facts()
    found.samples = [replace(s, **{what: {"a": 3}}) for s in found.samples]  # type: ignore[arg-type]
    assert [word in name for name in failed(found)] == [True]


def test_a_connection_that_a_worker_has_once_needed_may_stay() -> None:
    found = facts()
    found.samples = [replace(s, clients={"a": 3}) for s in found.samples]
    found.runners["a"].connections = 3
    assert failed(found) == []
    found.samples = [replace(s, clients={"a": 4}) for s in found.samples]
    assert failed(found) == [of(found, "to Redis").what]


def test_too_many_pods_and_a_busy_one_deleted_fail_it() -> None:
    found = facts()
    found.runners["a"].peak = 5
    found.runners["a"].interrupted = ["reports-0 active"]
    assert failed(found) == [of(found, "maxReplicas").what, "the operator deleted no busy pod"]


def test_a_key_of_nobodys_fails_it() -> None:
    found = facts()
    found.runners["a"].keys["mine"] = 1
    assert failed(found) == ["Redis holds pynenc's own keys alone"]


def test_a_heartbeat_may_be_left_by_who_left_while_its_redis_was_away_and_by_nobody_else() -> None:
    found = facts()
    found.faults.append(Done(Kind.REDIS_BLACK_HOLE, "a", 200.0, 230.0))
    found.runners["a"].left_behind = {"uid-1": 195.0, "uid-2": 201.0}
    assert failed(found) == []
    for other in (180.0, 240.0):
        found.runners["a"].left_behind = {"uid-1": 195.0, "uid-3": other}
        assert failed(found) == ["no heartbeat is left but of workers that live, or left while their Redis was away"]
    found.runners["a"].left_behind = {"uid-1": 195.0}
    found.faults = [Done(Kind.REDIS_BLACK_HOLE, "b", 200.0, 230.0), Done(Kind.API_SERVER_KILLED, "a", 200.0, 230.0)]
    assert len(failed(found)) == 1


def test_a_fault_that_could_not_be_undone_fails_it() -> None:
    assert failed(replace(facts(), trouble=["API server killed: ClusterError"])) == ["every fault was done and undone"]


@pytest.mark.parametrize("rested", [0.0, 29 * MINUTE])
def test_a_run_that_did_not_come_to_rest_in_time_fails(rested: float) -> None:
    assert any(what.startswith("all came to rest") for what in failed(replace(facts(), rested=rested)))


def test_what_an_interrupted_run_had_no_time_for_is_not_judged() -> None:
    found = replace(facts(), rested=0.0, samples=[], interrupted=True)
    found.runners["a"].called["short-2"] = 5.0
    assert failed(found) == []
    assert of(found, "task is done").holds is None
    assert failed(Facts({}, [], [], 0.0, 0.0, [], [], [], interrupted=True)) == []


def test_the_summary_counts_tasks_executions_and_faults_by_kind() -> None:
    told = "\n".join(lines(facts(), judge(facts())))
    assert "tasks: 2, executions: 3, again: 1" in told
    assert "1 busy worker killed" in told
    assert "a: short-1 ran again: killed with its worker reports-1" in told
    assert "FAILED" not in told
