"""What is told when events can't be written."""

from typing import Any

import pytest

from pynenc_operator.actuator import Outcome
from pynenc_operator.announcer import SILENT_SECONDS, Announcer
from pynenc_operator.decision import Create, Decision
from pynenc_operator.kube import KubeError, Unavailable
from pynenc_operator.reason import Reason
from pynenc_operator.specfields import SpecInvalid
from tests.unit.operator.builders import NOW, seen
from tests.unit.operator.resources import runner

WHAT: dict[str, Any] = {"verb": "create", "resource": "events"}
NO_ANSWER = Unavailable("no answer within 3.0 s", reason="Timeout", **WHAT)
BROKEN_OFF = Unavailable("Server disconnected", reason="ServerDisconnectedError", **WHAT)
BUSY = Unavailable("try again", status=429, **WHAT)


class World:
    """An API server that answers as the test says, and the time."""

    def __init__(self, answer: KubeError) -> None:
        self.now = NOW
        self.answer = answer
        self.asked = 0
        self.announcer = Announcer(self, lambda: self.now, "test")  # type: ignore[arg-type]

    async def create_event(self, namespace: str, body: Any) -> Any:  # noqa: ARG002
        self.asked += 1
        raise self.answer

    async def tell(self) -> None:
        decision = Decision(1, Reason.QUEUE_DEPTH, create=Create(1, Reason.QUEUE_DEPTH))
        await self.announcer.tell(runner(), decision, Outcome(created=["reports-0"]), seen())


async def test_without_an_answer_none_is_written_for_a_while_and_the_log_tells_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    world = World(NO_ANSWER)
    for _ in range(5):
        await world.tell()
    assert world.asked == 1
    assert sum("reports-0" in line for line in caplog.messages) == 5
    world.now += SILENT_SECONDS
    await world.tell()
    assert world.asked == 2


@pytest.mark.parametrize("error", [BUSY, BROKEN_OFF])
async def test_what_costs_no_time_keeps_no_other_from_being_written(error: KubeError) -> None:
    world = World(error)
    for _ in range(5):
        await world.tell()
    assert world.asked == 5


@pytest.mark.parametrize(("error", "answered"), [(BUSY, True), (BROKEN_OFF, False), (NO_ANSWER, False)])
async def test_a_refusal_that_nobody_has_heard_is_known_as_such(error: KubeError, answered: bool) -> None:  # noqa: FBT001
    world = World(error)
    for _ in range(2):
        assert await world.announcer.refused(runner(), SpecInvalid("maxReplicas", "a number")) is answered
