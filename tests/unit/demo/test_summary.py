import json
from typing import Any

from examples.demo.summary import Summary, summarize
from tests.unit.demo.lines import Feed, pod

KEYS = [
    "tasks",
    "executions",
    "lost",
    "peak_pods",
    "back_to_zero",
    "enqueue_to_first_pod_s",
    "enqueue_to_first_start_s",
    "last_task_to_zero_s",
]


def execution(name: str, started: float) -> dict[str, Any]:
    return {"execution": {"task": "short", "name": name, "pod": "reports-0", "started": started}}


def final(name: str, at: float, status: str = "success") -> dict[str, Any]:
    return {"final": name, "status": status, "at": at}


def good_run(clock: float = 0.0) -> Feed:
    """Two tasks on one pod; the cluster's clock is `clock` seconds behind ours."""
    feed = Feed()
    feed.log(100.1, {"enqueued": ["x", "y"], "begun": 100.0 - clock, "ended": 100.05 - clock})
    feed.pods(100.4, pod("ADDED", "reports-0"))
    feed.log(102.0, execution("x", 101.5 - clock), final("x", 102.5 - clock), {"at": 101.9 - clock, "queued": 1})
    feed.log(104.0, execution("y", 102.6 - clock), final("y", 103.6 - clock), {"at": 103.9 - clock, "queued": 0})
    feed.pods(116.0, pod("DELETED", "reports-0"))
    return feed


def summary(feed: Feed, max_pods: int = 10) -> Summary:
    return summarize(feed.seen, max_pods=max_pods, waited=20.0)


def test_a_good_run_has_no_problems() -> None:
    found = summary(good_run())
    assert found.problems == ()
    assert list(found.to_json()) == KEYS
    assert json.loads(json.dumps(found.to_json())) == {
        "tasks": 2,
        "executions": 2,
        "lost": 0,
        "peak_pods": 1,
        "back_to_zero": True,
        "enqueue_to_first_pod_s": 0.4,
        "enqueue_to_first_start_s": 1.5,
        "last_task_to_zero_s": 12.4,
    }


def test_another_clock_in_the_cluster_changes_no_figure_by_more_than_a_line_takes() -> None:
    near, far = summary(good_run()), summary(good_run(clock=300.0))
    assert far.enqueue_to_first_start_s == near.enqueue_to_first_start_s
    assert abs((far.enqueue_to_first_pod_s or 0) - (near.enqueue_to_first_pod_s or 0)) <= 0.101
    assert abs((far.last_task_to_zero_s or 0) - (near.last_task_to_zero_s or 0)) <= 0.101


def test_a_task_that_ran_twice_is_a_problem() -> None:
    feed = good_run()
    feed.log(105.0, execution("x", 104.5))
    found = summary(feed)
    assert found.executions == 3
    assert found.problems == ("task x ran 2 times",)


def test_a_task_without_a_result_is_lost_and_it_is_said_how_far_it_came() -> None:
    feed = good_run()
    feed.seen.finals.pop("x")
    feed.seen.tasks.append("z")
    found = summary(feed)
    assert found.lost == 2
    assert not found.back_to_zero
    assert found.last_task_to_zero_s is None
    assert found.problems[:2] == ("task x has no result; it began in reports-0", "task z never began")
    assert "not back at zero" in found.problems[2]


def test_a_task_that_failed_is_lost() -> None:
    feed = good_run()
    feed.log(105.0, final("y", 104.0, status="failed"))
    found = summary(feed)
    assert (found.lost, found.problems) == (1, ("task y ended as failed",))


def test_a_pod_that_stays_is_a_problem() -> None:
    feed = good_run()
    feed.pods(117.0, pod("ADDED", "reports-3", "idle"))
    found = summary(feed)
    assert not found.back_to_zero
    assert found.to_json()["last_task_to_zero_s"] is None
    assert found.problems == ("the pool was not back at zero after 20 s: reports-3 idle",)


def test_more_pods_than_the_maximum_are_a_problem() -> None:
    feed = good_run()
    feed.pods(101.0, pod("ADDED", "reports-1"), pod("ADDED", "reports-2"))
    feed.pods(116.0, pod("DELETED", "reports-1"), pod("DELETED", "reports-2"))
    assert summary(feed, max_pods=2).problems == ()
    assert summary(feed, max_pods=1).problems == ("there were 2 pods at a time, and maxReplicas is 1",)


def test_an_execution_that_was_not_recorded_is_a_problem() -> None:
    feed = good_run()
    feed.seen.executions.pop(0)
    assert summary(feed).problems == ("task x has a result, and no execution is recorded",)


def test_nothing_enqueued_is_a_problem() -> None:
    assert summary(Feed()).problems == ("nothing was enqueued",)


def test_unknown_figures_are_said_to_be_unknown() -> None:
    lines = summary(Feed()).lines()
    assert "enqueue to first pod     unknown" in lines
    assert "back to zero             NO" in lines
