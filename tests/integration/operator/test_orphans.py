"""What a runner left RUNNING before there was an operator, on each backend that tells of it: one worker is started."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.half_cluster import HalfCluster
from tests.integration.conftest import interpreter_of
from tests.integration.operator.operator_process import Operator
from tests.integration.operator.pool_harness import manifest
from tests.integration.operator.rest import Api
from tests.integration.worker.conftest import rabbitmq_line, redis_line
from tests.integration.worker.processes import Line, Producer

type Json = dict[str, Any]

APP_ID = "left-behind"


@dataclass(frozen=True)
class Place:
    """A backend of one of the test's own apps, as a producer and as a runner name it."""

    line: Line
    backend: Json


@pytest.fixture(params=["redis", "rabbitmq", "sqlite-0.3", "sqlite-0.4"])
def place(request: pytest.FixtureRequest, crd_installed: HalfCluster, namespace: str, tmp_path: Path) -> Place:
    if request.param.startswith("sqlite"):
        folder = tmp_path / "volumes" / namespace
        folder.mkdir(parents=True)
        python = interpreter_of("next") if request.param == "sqlite-0.4" else Path(sys.executable)
        url = str(folder / "pynenc.db")
        line = Line(python=python, backend="sqlite", url=url, folder=tmp_path, app_id=APP_ID)
        backend = {"sqlite": {"claimName": "data", "path": "pynenc.db"}}
        return Place(line, backend)
    redis = request.getfixturevalue("redis")
    if request.param == "redis":
        return Place(redis_line(redis, tmp_path, APP_ID), {"redis": {"url": redis.url}})
    line = rabbitmq_line(request.getfixturevalue("rabbitmq_server"), redis, tmp_path, APP_ID)
    crd_installed.kubectl("create", "secret", "generic", "mq", f"--from-literal=url={line.url}", "-n", namespace)
    reference = {"urlFrom": {"secretKeyRef": {"name": "mq", "key": "url"}}}
    return Place(line, {"rabbitmq": {**reference, "queuePrefix": APP_ID, "redis": {"url": redis.url}}})


@pytest.fixture
def producer(place: Place) -> Iterator[Producer]:
    with closing(Producer(place.line)) as producer:
        for number in range(2):
            producer.call("nap", name=str(number), seconds=0.1)
        assert producer("die_with_all") == 2
        yield producer


@pytest.fixture
def start_operator(
    place: Place, crd_installed: HalfCluster, namespace: str, tmp_path: Path
) -> Iterator[Callable[[], Operator]]:
    """Start one that finds the runner there."""
    crd_installed.kubectl("create", "clusterrole", "workers", "--verb=get", "--resource=pods", check=False)
    runner = manifest(appId=APP_ID, backend=place.backend)
    crd_installed.kubectl("apply", "-n", namespace, "-f", "-", input=runner)
    with ExitStack() as stack:

        def start() -> Operator:
            volumes = str(tmp_path / "volumes")
            operator = Operator(crd_installed, namespace, tmp_path, PYNENC_OPERATOR_SQLITE_DIR=volumes)
            stack.callback(operator.end)
            return operator

        yield start


def conditions(api: Api) -> set[tuple[str, str]]:
    found: list[Json] = api.runner("reports").get("status", {}).get("conditions", [])
    return {(each["type"], each["reason"]) for each in found if each["status"] == "True"}


def pods(api: Api) -> list[str]:
    return [pod["metadata"]["name"] for pod in api.ask("GET", api.pods)[1]["items"]]


def test_one_worker_is_started_for_what_was_left_running_before_the_operator_came(
    start_operator: Callable[[], Operator], api: Api, producer: Producer
) -> None:
    operator = start_operator()
    operator.until("a pod", lambda: bool(pods(api)))
    operator.until("told", lambda: ("RecoveryPending", "OrphanedInvocations") in conditions(api))
    assert api.runner("reports")["status"]["orphans"]["count"] == 2
    operator.until("counted", lambda: operator.of_runner("invocations", status="running") == 2)
    assert operator.of_runner("queue_depth") == 0
    assert pods(api) == ["reports-0"]
    assert operator.of_runner("scale_decisions_total", direction="up", reason="OrphanedInvocations") == 1
    assert producer("by_status")["running"] == 2  # the operator only reads


@pytest.mark.parametrize("place", ["redis", "sqlite-0.3"], indirect=True)
def test_what_runs_elsewhere_starts_none(start_operator: Callable[[], Operator], api: Api, producer: Producer) -> None:
    producer("beat", runner_id="elsewhere")
    operator = start_operator()
    operator.until("counted", lambda: operator.of_runner("invocations", status="running") == 2)
    assert (pods(api), operator.of_runner("pods_created_total")) == ([], 0)
    assert "orphans" not in api.runner("reports")["status"]
