"""When pods are made of a template, and when again after a refusal."""

from typing import Any

from pynenc_operator.actuator import Outcome
from pynenc_operator.creation import LONGEST_OUTAGE_PAUSE_SECONDS, Creation
from pynenc_operator.failures import RETRY_SECONDS
from pynenc_operator.kube import Forbidden, Invalid, KubeError, Unavailable
from pynenc_operator.model import Key
from pynenc_operator.reason import Reason
from tests.unit.operator.builders import NOW
from tests.unit.operator.resources import runner

KEY = Key("shop", "reports")
WHAT: dict[str, Any] = {"verb": "create", "resource": "pods"}
QUOTA = Forbidden("exceeded quota: q", **WHAT)
ENDING = Forbidden("unable to create because it is being terminated", **WHAT)
REFUSED = Invalid("no such field", **WHAT)
OUTAGE = Unavailable("no answer", **WHAT)


class World:
    """An API server that answers a dry run as the test says, and the time."""

    def __init__(self) -> None:
        self.now = NOW
        self.answer: KubeError | None = None
        self.creation = Creation(self, lambda *_: {}, lambda: self.now)  # type: ignore[arg-type]

    async def create_pod(self, namespace: str, body: Any, *, dry_run: bool) -> Any:  # noqa: ARG002
        if self.answer:
            raise self.answer
        return body

    async def refused(self, error: KubeError, times: int = 1, pods: int = 2) -> None:
        """Refuse creations, each as soon as it is tried."""
        await self.creation.check(KEY, runner(), pods)
        for _ in range(times):
            self.creation.learn(KEY, Outcome(refusal=error), pods)


async def test_a_full_quota_is_tried_again_when_a_pod_goes_and_never_more_often_than_every_five_minutes() -> None:
    world = World()
    await world.refused(QUOTA, times=9)
    creation = world.creation
    assert creation.limit(KEY) is Reason.QUOTA
    assert (creation.quota_full(KEY, 2), creation.is_held(KEY, 2)) == (True, True)
    assert (creation.quota_full(KEY, 1), creation.is_held(KEY, 1)) == (False, False)
    world.now += 300
    assert not creation.is_held(KEY, 2)


async def test_a_quota_that_refuses_the_dry_run_counts_the_pods_there_are() -> None:
    world = World()
    world.answer = QUOTA
    verdict = await world.creation.check(KEY, runner(), 3)
    assert (verdict.valid, verdict.problem) == (True, None)
    assert world.creation.quota_full(KEY, 3)
    assert not world.creation.quota_full(KEY, 2)


async def test_an_outage_holds_creation_for_twenty_seconds_at_most_and_is_told() -> None:
    for error in (OUTAGE, ENDING):
        world = World()
        await world.refused(error, times=9)
        assert world.creation.limit(KEY) is Reason.REFUSED
        assert world.creation.is_held(KEY, 0)
        world.now += LONGEST_OUTAGE_PAUSE_SECONDS
        assert not world.creation.is_held(KEY, 2)


async def test_a_refused_template_is_told_and_a_mended_one_tried_at_once() -> None:
    world = World()
    world.answer = REFUSED
    verdict = await world.creation.check(KEY, runner(), 0)
    assert (verdict.valid, verdict.problem and verdict.problem.message) == (None, "no such field")
    assert (world.creation.limit(KEY), world.creation.is_held(KEY, 0)) == (None, True)
    world.answer = None
    assert (await world.creation.check(KEY, runner(image="registry.example/reports:1.5"), 0)).valid
    assert not world.creation.is_held(KEY, 0)


async def test_a_created_pod_ends_the_waiting() -> None:
    world = World()
    await world.refused(OUTAGE, times=3)
    world.creation.learn(KEY, Outcome(created=["reports-0"]), 1)
    assert not world.creation.is_held(KEY, 1)
    assert world.creation.limit(KEY) is None


async def test_who_gets_some_pods_waits_for_the_others_no_longer_than_at_first() -> None:
    world = World()
    await world.refused(OUTAGE, times=3)
    world.creation.learn(KEY, Outcome(created=["reports-0"], refusal=OUTAGE), 1)
    assert world.creation.is_held(KEY, 1)
    world.now += RETRY_SECONDS[0]
    assert not world.creation.is_held(KEY, 1)


async def test_a_missing_right_of_the_operator_is_told_with_its_mend() -> None:
    world = World()
    denial = 'User "x" cannot create resource "pods" in API group "" in the namespace "shop"'
    world.answer = Forbidden(denial, **WHAT)
    verdict = await world.creation.check(KEY, runner(), 0)
    assert verdict.problem
    assert verdict.problem.message == f"{denial} ({world.answer.mend})"
    assert "RBAC" in world.answer.mend
