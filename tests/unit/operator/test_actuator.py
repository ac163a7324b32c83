"""How pods are created: with a slow start, and no more after a refusal."""

import asyncio
import itertools
from collections import Counter
from typing import Any

import pytest

from pynenc_operator.actuator import CONFLICT_PAUSES, MOST_AT_A_TIME, MOST_CREATED, MOST_SECONDS, Actuator, Outcome
from pynenc_operator.decision import Create, Decision, Delete, Drain
from pynenc_operator.kube import AlreadyExists, Conflict, Forbidden
from pynenc_operator.model import DrainCause, DrainRequest, Key
from pynenc_operator.reason import Reason
from tests.unit.operator.builders import NOW, pod
from tests.unit.operator.resources import runner

KEY = Key("shop", "reports")
WHAT: dict[str, Any] = {"verb": "create", "resource": "pods"}
type Json = dict[str, Any]


class Server:
    """Makes what it is asked for, at most `room` pods, each after one turn of the loop or when it is let go."""

    def __init__(self, room: int = 10_000) -> None:
        self.room = room
        self.foreign: set[str] = set()
        self.made: list[str] = []
        self.refused = 0
        self.at_a_time = 0
        self.most_at_a_time: list[int] = []  # when each was asked for
        self.slow: dict[str, asyncio.Event] = {}
        self.conflicts: Counter[str] = Counter()  # by name, how often it is one
        self.asked: list[str] = []  # pods, to leave

    async def create_pod(self, namespace: str, body: Json) -> Json:  # noqa: ARG002
        name = body["metadata"]["name"]
        self.at_a_time += 1
        self.most_at_a_time.append(self.at_a_time)
        await asyncio.sleep(0)
        if name in self.slow:
            await self.slow[name].wait()
        self.at_a_time -= 1
        if self.conflicts[name] > 0:
            self.conflicts[name] -= 1
            raise Conflict("the object has been modified", **WHAT)
        if name in self.foreign:
            raise AlreadyExists("exists", **WHAT)
        if len(self.made) >= self.room:
            self.refused += 1
            raise Forbidden("exceeded quota: q", **WHAT)
        self.made.append(name)
        return body

    async def patch_pod_annotations(self, namespace: str, name: str, *_: object) -> Json:  # noqa: ARG002
        self.asked.append(name)
        return {"metadata": {"name": name}}

    async def delete_pod(self, *_: object) -> Json:
        return {}

    async def get_pod(self, namespace: str, name: str) -> Json:  # noqa: ARG002
        return {"metadata": {"name": name}}

    def actuator(self) -> Actuator:
        return Actuator(self, lambda _, name: {"metadata": {"name": name}})  # type: ignore[arg-type]

    async def create(self, count: int, *in_use: str, by: Actuator | None = None) -> Outcome:
        actuator = by or self.actuator()
        decision = Decision(count, Reason.QUEUE_DEPTH, create=Create(count, Reason.QUEUE_DEPTH))
        return await actuator.apply(KEY, runner(), decision, in_use)


async def test_each_that_is_made_lets_one_more_be_made_at_a_time() -> None:
    server = Server()
    outcome = await server.create(40)
    assert outcome.created == [f"reports-{n}" for n in range(40)]
    assert server.most_at_a_time[:4] == [1, 1, 2, 1]
    assert max(server.most_at_a_time) == MOST_AT_A_TIME


async def test_one_that_takes_long_holds_up_no_other() -> None:
    server = Server()
    server.slow["reports-3"] = asyncio.Event()
    creating = asyncio.create_task(server.create(40))
    async with asyncio.timeout(10):
        while len(server.made) < 39:  # noqa: ASYNC110
            await asyncio.sleep(0)
    server.slow["reports-3"].set()
    outcome = await creating
    assert outcome.created == [f"reports-{n}" for n in range(40)]  # in the order of their numbers


async def test_a_refusal_is_met_once_and_not_as_often_as_there_are_pods_to_make() -> None:
    first = Server(room=0)
    outcome = await first.create(40)
    assert (outcome.created, first.refused) == ([], 1)
    assert outcome.refusal
    later = Server(room=25)
    outcome = await later.create(100)
    assert len(outcome.created) == 25
    assert later.refused <= MOST_AT_A_TIME


async def test_a_quota_that_others_write_to_at_the_same_time_refuses_nothing() -> None:
    server = Server()
    server.conflicts.update({f"reports-{number}": len(CONFLICT_PAUSES) for number in range(0, 40, 5)})
    outcome = await server.create(40)
    assert outcome.created == [f"reports-{n}" for n in range(40)]
    assert outcome.refusal is None


async def test_a_create_that_stays_a_conflict_is_a_refusal() -> None:
    server = Server()
    server.conflicts["reports-0"] = 100
    outcome = await server.create(40)
    assert isinstance(outcome.refusal, Conflict)
    assert server.conflicts["reports-0"] == 100 - len(CONFLICT_PAUSES) - 1
    assert outcome.created == []


async def test_no_look_asks_pods_to_leave_for_longer_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    passed = itertools.count(step=MOST_SECONDS / 3)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", passed.__next__, raising=False)
    drains = tuple(
        Drain(pod(f"reports-{n}"), DrainRequest(DrainCause.IDLE, NOW), Reason.IDLE_TIMEOUT) for n in range(100)
    )
    decision = Decision(0, Reason.QUEUE_DEPTH, drains=drains)
    outcome = await server.actuator().apply(KEY, runner(), decision, ())
    assert MOST_AT_A_TIME <= len(outcome.done) < 100
    assert [step.pod.name for step in outcome.done] == server.asked
    assert outcome.more


async def test_pods_that_are_hard_to_ask_keep_none_from_being_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    passed = itertools.count(step=2 * MOST_SECONDS)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", passed.__next__, raising=False)
    drains = tuple(
        Drain(pod(f"reports-{n}"), DrainRequest(DrainCause.IDLE, NOW), Reason.IDLE_TIMEOUT) for n in range(40)
    )
    gone = Delete(pod("reports-99"), Reason.DRAINED)
    outcome = await server.actuator().apply(
        KEY, runner(), Decision(0, Reason.QUEUE_DEPTH, drains=drains, deletes=(gone,)), ()
    )
    assert len(outcome.done) == MOST_AT_A_TIME + 1
    assert outcome.done[-1] == gone
    assert outcome.more


async def test_a_name_of_somebody_else_is_passed_over() -> None:
    server = Server()
    server.foreign = {"reports-0", "reports-2"}
    outcome = await server.create(3, "reports-1")
    assert outcome.created == ["reports-3", "reports-4", "reports-5"]
    assert outcome.name_taken


async def test_no_look_makes_more_than_its_share() -> None:
    server = Server()
    outcome = await server.create(MOST_CREATED + 1)
    assert (len(outcome.created), outcome.more) == (MOST_CREATED, True)


async def test_no_look_takes_longer_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    passed = itertools.count(step=MOST_SECONDS / 20)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", passed.__next__, raising=False)
    outcome = await server.create(100)
    assert 1 < len(outcome.created) < 100
    assert outcome.more


async def test_runners_that_create_at_the_same_time_share_what_may_be_under_way() -> None:
    server = Server()
    by = server.actuator()
    await asyncio.gather(*(server.create(20, by=by) for _ in range(MOST_AT_A_TIME // 2)))
    assert max(server.most_at_a_time) == MOST_AT_A_TIME
    server.most_at_a_time.clear()
    await server.create(40, by=by)
    assert max(server.most_at_a_time) == MOST_AT_A_TIME  # who is alone has all of it


async def test_what_is_under_way_ends_with_the_look() -> None:
    server = Server()
    server.slow = {f"reports-{n}": asyncio.Event() for n in range(3, 20)}
    creating = asyncio.create_task(server.create(40))
    for _ in range(50):
        await asyncio.sleep(0)
    creating.cancel()
    await asyncio.gather(creating, return_exceptions=True)
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1  # the test's own
