"""When the reporter writes, and what it does when it can't. The API is a stub that accepts or refuses."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from pynenc_worker import contract
from pynenc_worker.clock import ServerClock
from pynenc_worker.drain import Drain
from pynenc_worker.metrics import WorkerMetrics
from pynenc_worker.pod_api import Answer, ApiRefusedError, ApiUnreachableError, PodApi
from pynenc_worker.podinfo import PodInfo
from pynenc_worker.recovery import Recovery
from pynenc_worker.reporter import Reporter
from tests.unit.worker.test_activity import BUSY, QUIET
from tests.unit.worker.test_podinfo import publish


class Api:
    def __init__(self) -> None:
        self.clock = ServerClock()
        self.written: list[Mapping[str, str | None]] = []
        self.error: Exception | None = None
        self.tries = 0
        self.deleted = False
        self.drain_request = ""

    def patch_annotations(self, annotations: Mapping[str, str | None]) -> Answer:
        self.tries += 1
        if self.error is not None:
            raise self.error
        self.written.append(annotations)
        return Answer(self.deleted, self.drain_request)

    def states(self) -> list[str | None]:
        return [one[contract.WORKER_STATE] for one in self.written]


class RecoveryStub:
    asked: tuple[str, ...] = ()
    recovered = ""

    def ask(self, runner_ids: tuple[str, ...]) -> None:
        self.asked = runner_ids

    def answer(self) -> str:
        return self.recovered


class Scene:
    """A reporter whose clock and surroundings the test moves."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.folder = folder
        publish(folder, "..0", "")
        self.api = Api()
        self.recovery = RecoveryStub()
        self.seen = replace(QUIET, last_ended=self.now)
        self.woken: list[bool] = []
        self.drain = Drain(timeout=3600, clock=lambda: self.now)
        self.reporter = Reporter(
            cast("PodApi", self.api), PodInfo(folder), self.drain, WorkerMetrics(), clock=lambda: self.now
        )
        self.reporter.attach(
            lambda: replace(self.seen, draining=self.drain.active, drain_id=self.drain.request_id),
            cast("Recovery", self.recovery),
            on_heard_of=lambda: self.woken.append(self.reporter.heard_of()),
        )

    def look(self, after: float = 0.1) -> None:
        self.now += after
        self.reporter.look()

    def ask_to_drain(self, request: str) -> None:
        """Open a request, for the worker to see in its volume."""
        self.api.drain_request = request
        self.ask(f'{contract.DRAIN_REQUEST}="{request}"')

    def ask(self, text: str) -> None:
        publish(self.folder, f"..{len(os.listdir(self.folder))}", text)  # noqa: PTH208


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_nothing_is_written_while_nothing_changes(scene: Scene) -> None:
    for _ in range(100):
        scene.look()
    assert scene.api.states() == ["idle"]


def test_work_may_be_taken_only_after_the_first_accepted_report(scene: Scene) -> None:
    scene.api.error = ApiRefusedError(403, "no")
    scene.look()
    assert not scene.reporter.heard_of()
    assert not scene.woken
    scene.api.error = None
    scene.look(after=10)
    assert scene.reporter.heard_of()
    scene.seen = BUSY
    scene.look()
    assert scene.woken == [True]  # once, and only when work may be taken


def test_what_was_missed_is_told_as_it_is_now(scene: Scene) -> None:
    scene.look()
    scene.api.error = ApiUnreachableError("TimeoutError")
    scene.seen = BUSY
    scene.look()
    scene.seen = replace(QUIET, started=1, last_ended=scene.now)
    for _ in range(100):
        scene.look()
    scene.api.error = None
    scene.look(after=10)
    assert scene.api.states() == ["idle", "idle"]


def test_failures_are_tried_again_in_growing_pauses(scene: Scene) -> None:
    scene.api.error = ApiUnreachableError("ConnectionRefusedError")
    for _ in range(600):  # a minute
        scene.look()
    assert 12 <= scene.api.tries <= 20


def test_the_server_says_when_to_come_again(scene: Scene) -> None:
    scene.api.error = ApiUnreachableError("HTTP 429", retry_after=30)
    scene.look()
    scene.look(after=29)
    assert scene.api.tries == 1
    scene.look(after=2)
    assert scene.api.tries == 2


def test_refused_for_ten_minutes_it_leaves(scene: Scene) -> None:
    scene.look()
    scene.seen = BUSY
    scene.api.error = ApiRefusedError(401, "Unauthorized")
    for _ in range(60):
        scene.look(after=9.5)
    assert not scene.drain.stopping
    for _ in range(5):
        scene.look(after=9.5)
    assert scene.drain.stopping


def test_an_api_that_is_away_makes_nobody_leave(scene: Scene) -> None:
    scene.api.error = ApiUnreachableError("TimeoutError")
    for _ in range(200):
        scene.look(after=9.5)
    assert not scene.drain.stopping


def test_an_accepted_report_ends_a_time_of_refusals(scene: Scene) -> None:
    for _ in range(3):
        scene.api.error = ApiRefusedError(403, "no")
        scene.seen = BUSY if scene.seen is not BUSY else replace(QUIET, started=1)
        for _ in range(50):
            scene.look(after=9.5)
        scene.api.error = None
        scene.look(after=9.5)
    assert not scene.drain.stopping


def test_a_drain_request_is_followed_and_forgotten_when_it_is_taken_back(scene: Scene) -> None:
    scene.seen = BUSY
    scene.look()
    scene.ask_to_drain("d1")
    scene.look()
    scene.ask("")
    scene.look()
    assert scene.api.states() == ["active", "draining", "active"]
    assert not scene.drain.active


def test_a_worker_whose_answer_was_accepted_while_the_request_stood_leaves_by_itself(scene: Scene) -> None:
    scene.look()
    scene.ask_to_drain("d1")
    scene.look()
    assert scene.drain.stopping
    scene.ask("")  # too late
    scene.look()
    assert scene.api.states() == ["idle", "drained"]
    assert scene.api.written[-1][contract.DRAIN_ANSWER] == "d1"


def test_a_request_that_was_taken_back_at_its_answer_is_forgotten(scene: Scene) -> None:
    scene.look()
    scene.ask_to_drain("d1")
    scene.api.drain_request = ""
    scene.look()
    assert not scene.drain.stopping
    scene.ask("")
    scene.look()
    assert scene.api.states() == ["idle", "drained", "idle"]
    assert [one[contract.DRAIN_ANSWER] for one in scene.api.written] == [None, "d1", None]


def test_it_does_not_leave_before_it_is_known_that_it_has_drained(scene: Scene) -> None:
    scene.look()
    scene.ask_to_drain("d1")
    scene.api.error = ApiUnreachableError("TimeoutError")
    for _ in range(100):
        scene.look()
    assert not scene.drain.stopping
    scene.api.error = None
    scene.look(after=10)
    assert scene.drain.stopping


def test_what_may_have_arrived_without_an_answer_is_put_right(scene: Scene) -> None:
    scene.look()
    scene.ask_to_drain("d1")
    scene.api.error = ApiUnreachableError("TimeoutError")  # the report may stand on the pod
    scene.look()
    scene.api.error = None
    scene.ask("")
    scene.look(after=10)
    assert scene.api.states() == ["idle", "idle"]
    scene.look(after=10)
    assert len(scene.api.written) == 2


def test_a_later_request_is_answered_as_well_before_it_leaves(scene: Scene) -> None:
    scene.look()
    scene.ask_to_drain("d1")
    scene.api.drain_request = "d2"
    scene.look()
    assert not scene.drain.stopping
    scene.ask_to_drain("d2")
    scene.look()
    assert scene.drain.stopping
    assert [one[contract.DRAIN_ANSWER] for one in scene.api.written] == [None, "d1", "d2"]


def test_recovered_runners_are_told_at_once_and_forgotten_by_the_way(scene: Scene) -> None:
    scene.look()
    scene.ask(f'{contract.RECOVER_RUNNERS}="r1 r2"')
    scene.look()
    assert scene.recovery.asked == ("r1", "r2")
    scene.recovery.recovered = "r1"
    scene.look()
    assert scene.api.written[-1][contract.RECOVERED_RUNNERS] == "r1"
    scene.recovery.recovered = ""
    scene.look()
    assert len(scene.api.written) == 2
    scene.seen = BUSY
    scene.look()
    assert scene.api.written[-1][contract.RECOVERED_RUNNERS] is None


def test_a_skew_found_in_the_first_answer_is_put_right(scene: Scene) -> None:
    scene.look()
    scene.api.clock.offset = 300.0
    scene.look()
    scene.look()
    first, second = (one[contract.WORKER_STATE_SINCE] for one in scene.api.written)
    assert first is not None
    assert second is not None
    assert first < second


def test_who_waits_for_the_last_report_learns_of_it(scene: Scene) -> None:
    scene.look()
    assert not scene.reporter.wait_until_drained_is_told(timeout=0)
    scene.drain.stop("SIGTERM")
    scene.look()
    assert scene.reporter.wait_until_drained_is_told(timeout=0)


def test_a_missing_volume_hinders_no_report(scene: Scene) -> None:
    (scene.folder / "..data").unlink()
    scene.look()
    assert scene.api.states() == ["idle"]


def test_a_first_report_without_an_answer_may_have_been_heard_and_a_refused_one_not(scene: Scene) -> None:
    assert not scene.reporter.may_be_heard_of()
    scene.api.error = ApiUnreachableError("no answer")
    scene.reporter.look()
    assert scene.reporter.may_be_heard_of()
    assert not scene.reporter.heard_of()
    scene.now += 60
    scene.api.error = ApiRefusedError(403, "no")
    scene.reporter.look()
    assert not scene.reporter.may_be_heard_of()
