"""decide() over any spec, pool and time: what must hold always."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pynenc_operator.decision import Decision, Name
from pynenc_operator.model import DrainCause, DrainRequest, Observation, Orphans, QueueDepth, WorkerPod, WorkerStatus
from pynenc_operator.pool import classify
from pynenc_operator.reason import Reason
from pynenc_operator.runnerspec import Mode, RunnerSpec
from pynenc_operator.scaling import decide
from pynenc_worker.contract import WorkerState
from tests.unit.operator.builders import NOW, pod

AGES = st.floats(0, 4000)
TEMPLATES = ("t1", "t2")
RUNNER_IDS = st.lists(st.sampled_from([f"uid-p{n}" for n in range(10)]), max_size=3, unique=True).map(tuple)


@st.composite
def specs(draw: st.DrawFn) -> RunnerSpec:
    highest = draw(st.integers(0, 12))
    return RunnerSpec(
        min_replicas=draw(st.integers(0, highest)),
        max_replicas=highest,
        enforce_max_replicas=draw(st.booleans()),
        max_threads=draw(st.integers(1, 4)),
        idle_timeout_seconds=draw(st.integers(1, 120)),
        pin=draw(st.none() | st.integers(0, highest)),
        mode=draw(st.sampled_from(Mode)),
        drain_timeout_seconds=draw(st.integers(1, 3600)),
        start_deadline_seconds=draw(st.none() | st.integers(10, 600)),
    )


@st.composite
def worker_pods(draw: st.DrawFn, name: str) -> WorkerPod:
    state = draw(st.none() | st.sampled_from(WorkerState))
    cause, ago = draw(st.sampled_from(DrainCause)), draw(AGES)
    request = draw(st.none() | st.just(DrainRequest(cause, NOW - ago).id))
    ended = draw(st.booleans())
    return pod(
        name,
        created=NOW - draw(AGES),
        template_hash=draw(st.sampled_from(TEMPLATES)),
        terminating=draw(st.booleans()),
        ended=ended,
        failed=ended and draw(st.booleans()),
        ended_at=NOW - draw(AGES) if ended else None,
        container_started=state is not None or draw(st.booleans()),
        status=state and WorkerStatus(NOW - draw(AGES), draw(st.integers(0, 6)), state),
        drain_request=request,
        drain_answer=draw(st.sampled_from([None, "another", request])),
        recover=draw(RUNNER_IDS) if state else (),
        recovered=draw(RUNNER_IDS) if state else (),
        recovered_by=draw(st.sampled_from([None, None, "p9"])) if ended else None,
    )


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    pods = tuple(draw(worker_pods(f"p{n}")) for n in range(draw(st.integers(0, 8))))
    count = draw(st.none() | st.integers(0, 40))
    depth = None
    if count is not None:
        recount = draw(st.none() | st.integers(0, 40))
        depth = QueueDepth(count, max(count, recount or 0, draw(st.integers(0, 40))), recount)
        if draw(st.booleans()):
            depth = replace(depth, waiting_since=NOW - draw(AGES), fell_at=draw(st.none() | st.just(NOW - 20)))
        if recount is not None and draw(st.booleans()):
            depth = replace(depth, stayed=draw(st.integers(0, min(count, recount))))
    return Observation(
        pods,
        depth,
        draw(st.sampled_from(TEMPLATES)),
        quota_full=draw(st.booleans()),
        vanished=draw(RUNNER_IDS),
        orphans=draw(st.none() | st.builds(Orphans, st.just(1), st.just(NOW - draw(AGES)), st.booleans())),
        not_consumed_since=draw(st.none() | st.just(NOW - draw(AGES))),
        hang_suspected_at=draw(st.none() | st.just(NOW - draw(AGES))),
    )


def carried_out(seen: Observation, decision: Decision) -> Observation:
    """What is seen just after: pods deleted are gone, requests stand, new pods exist."""
    pods = {p.uid: p for p in seen.pods}
    for cancel in decision.cancels:
        pods[cancel.pod.uid] = replace(cancel.pod, drain_request=None)
    for drain in decision.drains:
        pods[drain.pod.uid] = replace(drain.pod, drain_request=drain.request.id)
    for delete in decision.deletes:
        pods[delete.pod.uid] = replace(delete.pod, terminating=True)
    for step in decision.recovery:
        known = pods[step.pod.uid]
        done = {"recover": step.runner_ids} if isinstance(step, Name) else {"recovered_by": step.by}
        pods[step.pod.uid] = replace(known, **done)
    for _ in range(decision.create.count if decision.create else 0):
        fresh = pod(f"new-{len(pods)}", created=NOW, template_hash=seen.template)
        pods[fresh.uid] = fresh
    return replace(seen, pods=tuple(pods.values()))


@given(specs(), observations())
def test_live_pods_are_never_created_above_the_maximum(spec: RunnerSpec, seen: Observation) -> None:
    decision = decide(spec, seen, NOW)
    cap = spec.max_replicas if spec.pin is None else spec.pin
    if decision.create:
        surge = spec.max_surge if decision.create.reason is Reason.TEMPLATE else 0
        assert len(classify(spec, seen, NOW).live) + decision.create.count <= cap + surge


@given(specs(), observations())
def test_no_pod_is_asked_for_idleness_without_an_idle_report_older_than_the_timeout(
    spec: RunnerSpec, seen: Observation
) -> None:
    for drain in decide(spec, seen, NOW).drains:
        if drain.request.cause is DrainCause.IDLE:
            assert drain.pod.status is not None
            assert drain.pod.status.is_idle(NOW, spec.idle_timeout_seconds)


@given(specs(), observations())
def test_no_pod_that_may_be_working_is_deleted(spec: RunnerSpec, seen: Observation) -> None:
    pool = classify(spec, seen, NOW)
    for delete in decide(spec, seen, NOW).deletes:
        target = delete.pod
        answered = target.drain_request is not None and target.drain_request == target.drain_answer
        drained = answered and target.status is not None and target.status.state is WorkerState.DRAINED
        assert target in pool.not_started or target in pool.silent or target.ended or drained


@given(specs(), observations())
def test_an_unknown_depth_adds_nothing_for_demand_and_takes_nothing_for_idleness(
    spec: RunnerSpec, seen: Observation
) -> None:
    one_template = replace(seen, pods=tuple(replace(p, template_hash=seen.template) for p in seen.pods))
    decision = decide(spec, replace(one_template, depth=None), NOW)
    floor = decide(spec, replace(one_template, depth=QueueDepth(0, 0, 0)), NOW)
    assert all(drain.request.cause is not DrainCause.IDLE for drain in decision.drains)
    assert (decision.create and decision.create.count) == (floor.create and floor.create.count)


@given(specs(), observations())
def test_deciding_again_on_the_result_decides_nothing(spec: RunnerSpec, seen: Observation) -> None:
    # Twice, since a deletion makes room under the maximum; a change of template goes step by step.
    changing = any(p.template_hash != seen.template for p in seen.pods)
    for _ in range(6 if changing else 2):
        seen = carried_out(seen, decide(spec, seen, NOW))
    again = decide(spec, seen, NOW)
    assert not again.acts


@given(specs(), observations(), st.integers(0, 40), st.integers(0, 40))
def test_more_queued_work_never_means_fewer_pods(spec: RunnerSpec, seen: Observation, one: int, other: int) -> None:
    less, more = sorted((one, other))
    few, many = (decide(spec, replace(seen, depth=QueueDepth(n, n)), NOW).desired for n in (less, more))
    assert few <= many


@given(specs(), observations())
def test_the_dead_are_named_until_somebody_answers_and_their_pods_stay_until_then(
    spec: RunnerSpec, seen: Observation
) -> None:
    after = carried_out(seen, decide(spec, seen, NOW))
    pool = classify(spec, seen, NOW)
    answered = {runner_id for p in seen.pods for runner_id in p.recovered}
    named = {runner_id for p in after.pods for runner_id in p.recover}
    living = (*pool.idle, *pool.active)
    for dead in seen.pods:
        if not dead.died or dead.recovered_by or dead.uid in answered or dead.terminating:
            continue
        assert dead.uid in {p.uid for p in after.pods if not p.terminating}
        if living and spec.mode is not Mode.PAUSED:
            assert dead.uid in named
