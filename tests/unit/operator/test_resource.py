"""Reading objects into words."""

import math
from typing import Any

import pytest

from pynenc_operator.model import Observation, WorkerStatus
from pynenc_operator.pool import classify
from pynenc_operator.resource import parse_pod, parse_spec, parse_time
from pynenc_operator.runnerspec import BrokerDownFloor, Mode, ScaleUpLimit
from pynenc_worker import contract
from pynenc_worker.contract import WorkerState
from tests.unit.operator.resources import pod, runner

CREATED = parse_time("2026-01-01T00:00:00Z")


def test_a_report_is_read_from_annotations() -> None:
    view = parse_pod(pod())
    assert view.status is not None
    assert (view.status.state, view.status.last_update) == (WorkerState.IDLE, CREATED + 10.5)
    assert (view.container_started, view.ready, view.ended, view.owner_uid) == (True, True, False, "runner-uid")


def test_a_pod_that_has_said_nothing_has_no_report() -> None:
    body = pod()
    body["metadata"]["annotations"] = {"pynenc.org/drain-request": "idle.1"}
    assert parse_pod(body).status is None


def test_a_worker_says_which_pynenc_it_has() -> None:
    body = pod()
    assert parse_pod(body).pynenc is None
    body["metadata"]["annotations"]["pynenc.org/pynenc-version"] = "0.4.0"
    assert parse_pod(body).pynenc == "0.4.0"


@pytest.mark.parametrize(
    ("words", "reason", "message"),
    [
        ("QueuesUnsupported: spec.queues needs pynenc 0.4", "QueuesUnsupported", "spec.queues needs pynenc 0.4"),
        ("POD_NAME is not set: it has to be", "Error", "exit code 2 POD_NAME is not set: it has to be"),
        ("", "Error", "exit code 2"),
    ],
)
def test_the_last_words_of_a_worker_that_refused_to_start_are_its_pods_trouble(
    words: str, reason: str, message: str
) -> None:
    body = pod()
    [container] = body["status"]["containerStatuses"]
    container["state"] = {"terminated": {"exitCode": 2, "reason": "Error", "message": words}}
    trouble = parse_pod(body).trouble
    assert trouble
    assert (trouble.reason, trouble.message) == (reason, message)


def test_a_busy_pod_whose_state_was_taken_away_is_still_busy() -> None:
    body = pod()
    body["metadata"]["annotations"] = {"pynenc.org/worker-version": "0.1.0"}
    assert parse_pod(body).status == WorkerStatus(CREATED, 0, WorkerState.ACTIVE)


@pytest.mark.parametrize(
    ("nonsense", "state", "since", "active"),
    [
        ({"worker-state": "asleep"}, WorkerState.ACTIVE, CREATED + 10.5, 0),
        ({"worker-state-since": "noon"}, WorkerState.ACTIVE, CREATED, 0),
        ({"worker-state-since": "0001-01-01T00:00:00"}, WorkerState.ACTIVE, CREATED, 0),
        ({"worker-state": "drained", "worker-state-since": ""}, WorkerState.DRAINED, CREATED, 0),
        ({"active-invocations": "9" * 5000}, WorkerState.IDLE, CREATED + 10.5, 1_000_000),
        ({"active-invocations": "NaN"}, WorkerState.IDLE, CREATED + 10.5, 1_000_000),
        ({"active-invocations": "-3"}, WorkerState.IDLE, CREATED + 10.5, 0),
    ],
)
def test_what_makes_no_sense_in_a_report_is_read_as_that_it_may_be_busy(
    nonsense: dict[str, str], state: WorkerState, since: float, active: int
) -> None:
    body = pod()
    body["metadata"]["annotations"].update({f"pynenc.org/{key}": value for key, value in nonsense.items()})
    assert parse_pod(body).status == WorkerStatus(since, active, state)


@pytest.mark.parametrize("request_", ["idle.1", "x", "idle.", "idle.1e9", "idle." + "9" * 400, "template.-5", "\0"])
def test_nothing_is_overdue_by_a_request_to_leave_that_nobody_here_made(request_: str) -> None:
    body = pod()
    body["metadata"]["annotations"]["pynenc.org/drain-request"] = request_
    view = parse_pod(body)
    assert view.drain
    assert view.drain.asked == math.inf
    assert not classify(parse_spec(runner()["spec"]), Observation((view,), None, "abc"), CREATED + 10**6).silent


@pytest.mark.parametrize(
    ("status", "ended", "failed"),
    [
        ({"containerStatuses": [{"name": "worker", "state": {"terminated": {"exitCode": 0}}}]}, True, False),
        ({"containerStatuses": [{"name": "worker", "state": {"terminated": {"exitCode": 137}}}]}, True, True),
        ({"containerStatuses": [{"name": "proxy", "state": {"terminated": {"exitCode": 1}}}]}, False, False),
        ({"containerStatuses": [], "phase": "Failed"}, True, True),
        ({"containerStatuses": [{"name": "worker", "state": {"waiting": {}}}], "phase": "Pending"}, False, False),
    ],
)
def test_ended_means_the_worker_container(status: dict[str, Any], ended: bool, failed: bool) -> None:  # noqa: FBT001
    view = parse_pod(pod(**status))
    assert (view.ended, view.failed) == (ended, failed)


def test_an_answer_to_what_was_not_asked_is_none() -> None:
    answering = pod()
    answering["metadata"]["annotations"] |= {
        contract.RECOVER_RUNNERS: "first second",
        contract.RECOVERED_RUNNERS: "second third",
    }
    assert parse_pod(answering).recovered == ("second",)


def test_a_spec_is_read_with_its_unions() -> None:
    spec = parse_spec(
        runner(
            mode="Shadow",
            replicas=2,
            scaleUp={"maxPods": 5, "periodSeconds": 10},
            onBrokerDown={"action": "Replicas", "replicas": 3, "afterSeconds": 60},
        )["spec"]
    )
    assert (spec.mode, spec.pin) == (Mode.SHADOW, 2)
    assert (spec.scale_up, spec.broker_down) == (ScaleUpLimit(5, 10), BrokerDownFloor(3, 60))
    assert parse_spec(runner()["spec"]).broker_down is None
