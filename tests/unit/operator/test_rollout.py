"""Rule 6: from an old template to a new one."""

from dataclasses import replace

from pynenc_operator.decision import Decision
from pynenc_operator.model import DrainCause, DrainRequest, Failures, WorkerPod
from pynenc_operator.reason import Reason
from pynenc_operator.runnerspec import RunnerSpec
from pynenc_operator.scaling import decide
from pynenc_worker.contract import WorkerState
from tests.unit.operator.builders import NOW, active, idle, pod, reporting, seen, starting

SPEC = RunnerSpec(max_replicas=4, min_replicas=4)
TEMPLATE_REQUEST = DrainRequest(DrainCause.TEMPLATE, NOW - 5).id


def old(*pods: WorkerPod) -> list[WorkerPod]:
    return [replace(each, template_hash="t0") for each in pods]


def leaving(decision: Decision) -> list[str]:
    return [step.pod.name for step in decision.drains] + [step.pod.name for step in decision.deletes]


def test_one_new_pod_is_made_first_beyond_the_maximum() -> None:
    decision = decide(SPEC, seen(*old(active("a"), active("b"), idle("c"), idle("d"))), NOW)
    assert decision.create
    assert (decision.create.count, decision.create.reason) == (1, Reason.TEMPLATE)
    assert leaving(decision) == []


def test_no_old_pod_leaves_while_the_new_one_has_not_reported() -> None:
    for new in (pod("n"), starting("n")):
        decision = decide(SPEC, seen(*old(active("a"), active("b"), idle("c", 999), idle("d")), new), NOW)
        assert not decision.acts


def test_as_many_old_pods_leave_as_new_ones_have_reported_idle_ones_first() -> None:
    spec = RunnerSpec(max_replicas=6, min_replicas=5)
    pods = old(active("a"), idle("b", 1), idle("c", 5))
    assert leaving(decide(spec, seen(*pods, idle("n1"), active("n2")), NOW)) == ["c", "b"]
    one_under_way = [*pods[:2], *old(reporting("c", WorkerState.DRAINING, drain_request=TEMPLATE_REQUEST))]
    assert leaving(decide(RunnerSpec(max_replicas=6), seen(*one_under_way, idle("n1"), active("n2")), NOW)) == ["b"]


def test_old_pods_that_have_not_started_go_first() -> None:
    decision = decide(RunnerSpec(min_replicas=3), seen(*old(active("a"), pod("b")), idle("n")), NOW)
    assert [(step.pod.name, step.reason) for step in decision.deletes] == [("b", Reason.TEMPLATE)]


def test_while_demand_is_unmet_none_leaves_below_the_maximum_and_one_at_it() -> None:
    pods = [*old(active("a"), active("b")), active("n1"), active("n2")]
    below = decide(RunnerSpec(max_replicas=9), seen(*pods, depth=50, recount=50), NOW)
    at_it = decide(RunnerSpec(max_replicas=4), seen(*pods, depth=50, recount=50), NOW)
    assert leaving(below) == []
    assert leaving(at_it) == ["b"]


def test_a_new_template_that_fails_takes_no_working_pod_away() -> None:
    failures = Failures("t1", 3, NOW - 10)
    decision = decide(SPEC, seen(*old(*(active(name) for name in "abcd")), failures=failures), NOW)
    assert not decision.acts


def test_without_surge_an_old_pod_makes_room() -> None:
    spec = RunnerSpec(max_replicas=2, min_replicas=2, max_surge=0)
    assert leaving(decide(spec, seen(*old(active("a"), idle("b"))), NOW)) == ["b"]
    made = old(active("a"), reporting("b", WorkerState.DRAINED, drain_request=TEMPLATE_REQUEST))
    assert leaving(decide(spec, seen(*made), NOW)) == []


def test_a_new_pod_is_no_victim_while_an_old_one_serves() -> None:
    spec = RunnerSpec(idle_timeout_seconds=10)
    assert leaving(decide(spec, seen(*old(active("a")), idle("n", 999)), NOW)) == ["a"]
    draining = old(reporting("a", WorkerState.DRAINING, threads=1, drain_request=TEMPLATE_REQUEST))
    assert leaving(decide(spec, seen(*draining, *old(active("b")), idle("n", 999)), NOW)) == []


def test_a_rollback_takes_the_old_pods_back() -> None:
    back = [reporting(name, WorkerState.DRAINED, drain_request=TEMPLATE_REQUEST) for name in "ab"]
    decision = decide(RunnerSpec(min_replicas=2), seen(*back), NOW)
    assert [step.pod.name for step in decision.cancels] == ["a", "b"]
    assert decision.create is None


def test_an_unknown_depth_starts_no_step() -> None:
    assert not decide(SPEC, seen(*old(*(active(name) for name in "abcd")), depth=None), NOW).acts


def test_a_pin_takes_no_old_pod_away_before_the_new_one_has_reported() -> None:
    spec = RunnerSpec(pin=3)
    first = decide(spec, seen(*old(active("a"), active("b"), active("c"))), NOW)
    assert first.create
    assert first.create.reason is Reason.TEMPLATE
    assert not decide(spec, seen(*old(active("a"), active("b"), active("c")), pod("n")), NOW).acts


def test_with_a_full_quota_one_old_pod_makes_room_for_the_first_new_one() -> None:
    pods = old(active("a"), active("b"), idle("c"))
    spec = RunnerSpec(max_replicas=9)
    assert leaving(decide(spec, seen(*pods, quota_full=True), NOW)) == ["c"]
    under_way = [*pods[:2], *old(reporting("c", WorkerState.DRAINING, drain_request=TEMPLATE_REQUEST))]
    assert not decide(spec, seen(*under_way, quota_full=True), NOW).acts
    room = decide(spec, seen(*pods[:2]), NOW)
    assert room.create
    assert room.create.reason is Reason.TEMPLATE
