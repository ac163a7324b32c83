"""Reading objects into words."""

from typing import Any

import pytest

from pynenc_operator.resource import parse_pod, parse_spec, parse_time
from pynenc_operator.runnerspec import BrokerDownFloor, Mode, ScaleUpLimit
from pynenc_worker.contract import WorkerState
from tests.unit.operator.resources import pod, runner

CREATED = parse_time("2026-01-01T00:00:00Z")


def test_a_report_is_read_from_annotations() -> None:
    view = parse_pod(pod())
    assert view.status is not None
    assert (view.status.state, view.status.last_update) == (WorkerState.IDLE, CREATED + 10.5)
    assert (view.container_started, view.ready, view.ended, view.owner_uid) == (True, True, False, "runner-uid")


@pytest.mark.parametrize("broken", [{"pynenc.org/worker-state": "asleep"}, {"pynenc.org/worker-state-since": "noon"}])
def test_a_report_that_makes_no_sense_is_none(broken: dict[str, str]) -> None:
    body = pod()
    body["metadata"]["annotations"].update(broken)
    assert parse_pod(body).status is None


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
