"""Annotations that anybody who may change a pod could have written: none makes an exception, or ends a busy worker."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pynenc_operator.model import Observation, QueueDepth
from pynenc_operator.resource import parse_pod, parse_spec
from pynenc_operator.scaling import decide
from pynenc_worker import contract
from tests.unit.operator.resources import pod, runner

type Json = dict[str, Any]

CREATED = 1_767_225_600.0  # of resources.pod
KEYS = (
    contract.WORKER_STATE_SINCE,
    contract.ACTIVE_INVOCATIONS,
    contract.DRAIN_REQUEST,
    contract.DRAIN_ANSWER,
    contract.RECOVER_RUNNERS,
    contract.RECOVERED_RUNNERS,
    contract.RECOVERED_BY,
)
VALUES = st.one_of(
    st.text(max_size=30),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(lambda time: time.isoformat()),
    st.tuples(st.sampled_from(["idle", "hanging", "template", "above-maximum"]), st.integers()).map(
        lambda parts: f"{parts[0]}.{parts[1]}"
    ),
    st.sampled_from(
        ["", " ", "\0", "-1", "1e400", "9" * 5000, "x" * 200_000, "0001-01-01T00:00:00", "9999-12-31T23:59:59Z"]
    ),
)
# Idle and drained are what a worker itself has to say; a stranger who says them of a busy one is believed.
BUSY = st.sampled_from(["active", "draining", "asleep", "", "x" * 200_000, "ACTIVE", "\0", "-1"])


@given(
    states=st.lists(BUSY, min_size=1, max_size=4),
    notes=st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES), min_size=4, max_size=4),
    depth=st.none() | st.integers(0, 20),
    age=st.floats(0, 100_000),
    most=st.integers(0, 4),
)
def test_no_busy_worker_is_ended_by_what_stands_in_its_annotations(
    states: list[str], notes: list[dict[str, str]], depth: int | None, age: float, most: int
) -> None:
    pods = []
    for number, state in enumerate(states):
        body = pod()
        body["metadata"] |= {"name": f"reports-{number}", "uid": f"uid-{number}"}
        body["metadata"]["annotations"] = {**notes[number], contract.WORKER_STATE: state}
        pods.append(parse_pod(body))
    now = max((view.drain.asked for view in pods if view.drain and view.drain.asked < CREATED + age), default=CREATED)
    spec = parse_spec(runner(maxReplicas=most)["spec"])
    seen = Observation(tuple(pods), None if depth is None else QueueDepth(depth, depth), "abc")
    decision = decide(spec, seen, now + spec.drain_timeout_seconds)
    assert decision.deletes == ()


@given(st.dictionaries(st.sampled_from((*KEYS, contract.WORKER_STATE)), VALUES | BUSY))
def test_any_annotations_can_be_read(notes: dict[str, str]) -> None:
    body: Json = pod()
    body["metadata"]["annotations"] = notes
    view = parse_pod(body)
    reported = {contract.WORKER_STATE, contract.WORKER_STATE_SINCE, contract.ACTIVE_INVOCATIONS}
    assert (view.status is None) == reported.isdisjoint(notes)
    assert view.drain is None or view.drain.asked >= view.created
