"""The election in virtual time, against Leases that answer late, not at all, or after the fact."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynenc_operator.kube_errors import AlreadyExists, Conflict, KubeError, NotFound, Unavailable
from pynenc_operator.leader import Leader
from tests.unit.operator.virtual_time import now, run

type Json = dict[str, Any]


def error(kind: type[KubeError]) -> KubeError:
    return kind("refused", verb="update", resource="leases", namespace="ops", name="operator")


class Link:
    """One replica's way to the Lease: it can be cut, before the server or on the way back, and be slow."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.requests_lost = False
        self.answers_lost = False
        self.seconds = 0.01

    async def get_lease(self, namespace: str, name: str, deadline: float) -> Json:
        assert (namespace, name) == ("ops", "operator")
        return await self._ask(deadline, self.server.get)

    async def create_lease(self, namespace: str, body: Json, deadline: float) -> Json:
        assert namespace == "ops"
        return await self._ask(deadline, lambda: self.server.create(body))

    async def replace_lease(self, namespace: str, name: str, body: Json, deadline: float) -> Json:
        assert (namespace, name) == ("ops", "operator")
        return await self._ask(deadline, lambda: self.server.replace(body))

    async def _ask(self, deadline: float, deed: Any) -> Json:
        try:
            async with asyncio.timeout(deadline):
                await asyncio.sleep(self.seconds / 2)
                if self.requests_lost:
                    await asyncio.sleep(3600)
                answer: Json = deed()
                if self.answers_lost:
                    await asyncio.sleep(3600)
                await asyncio.sleep(self.seconds / 2)
                return answer
        except TimeoutError:
            raise error(Unavailable) from None


class Server:
    def __init__(self) -> None:
        self.lease: Json | None = None
        self.writes = 0
        self.reads = 0

    def get(self) -> Json:
        self.reads += 1
        if self.lease is None:
            raise error(NotFound)
        return self.lease

    def create(self, body: Json) -> Json:
        if self.lease is not None:
            raise error(AlreadyExists)
        return self._write(body)

    def replace(self, body: Json) -> Json:
        if self.lease is None:
            raise error(NotFound)
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise error(Conflict)
        return self._write(body)

    def _write(self, body: Json) -> Json:
        self.writes += 1
        self.lease = body | {"metadata": body["metadata"] | {"resourceVersion": str(self.writes)}}
        return self.lease

    @property
    def holder(self) -> str:
        assert self.lease
        holder: str = self.lease["spec"]["holderIdentity"]
        return holder


class Replica:
    def __init__(self, server: Server, identity: str) -> None:
        self.link = Link(server)
        self.leader = Leader(self.link, "ops", "operator", identity, now=now, monotonic=now)
        self.task = asyncio.create_task(self.leader.run())

    async def killed(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@contextlib.asynccontextmanager
async def replicas(server: Server, *identities: str) -> AsyncIterator[list[Replica]]:
    running = []
    for identity in identities:
        running.append(Replica(server, identity))
        await asyncio.sleep(0.3)
    yield running
    for replica in running:
        await replica.killed()


async def seconds_until(event: Coroutine[Any, Any, None]) -> float:
    began = now()
    async with asyncio.timeout(120):
        await event
    return now() - began


def test_the_first_of_two_leads_and_the_other_stands_by() -> None:
    async def story() -> None:
        async with replicas(Server(), "a", "b") as (a, b):
            for _ in range(600):
                await asyncio.sleep(0.1)
                assert (a.leader.is_leader, b.leader.is_leader) == (True, False)

    run(story())


def test_at_rest_the_leader_writes_once_and_the_standby_reads_once_in_two_seconds() -> None:
    async def story() -> None:
        server = Server()
        async with replicas(server, "a", "b"):
            await asyncio.sleep(10)
            writes, reads = server.writes, server.reads
            await asyncio.sleep(60)
            assert (server.writes - writes, server.reads - reads) == (30, 30)

    run(story())


def test_a_released_lease_is_taken_over_at_the_next_look() -> None:
    async def story() -> None:
        server = Server()
        async with replicas(server, "a", "b") as (a, b):
            await asyncio.sleep(7)
            await a.killed()
            await a.leader.release()
            assert (a.leader.is_leader, server.holder) == (False, "")
            assert await seconds_until(b.leader.acquired()) <= 2.1

    run(story())


def test_a_killed_leader_is_replaced_eight_seconds_after_its_last_renewal() -> None:
    async def story() -> None:
        async with replicas(Server(), "a", "b") as (a, b):
            await asyncio.sleep(7)
            await a.killed()
            assert 4 <= await seconds_until(b.leader.acquired()) <= 8.1

    run(story())


def test_a_release_cut_into_by_a_renewal_on_its_way_still_frees_the_lease() -> None:
    async def story() -> None:
        server = Server()
        async with replicas(server, "a") as (a,):
            await asyncio.sleep(5)
            a.link.answers_lost = True
            await asyncio.sleep(1.5)  # a renewal has been written, its answer is on its way
            await a.killed()
            a.link.answers_lost = False
            await a.leader.release()
            assert server.holder == ""

    run(story())


@pytest.mark.parametrize("cut", ["requests_lost", "answers_lost"])
def test_a_leader_that_hears_nothing_stops_within_six_seconds_of_its_last_renewal(cut: str) -> None:
    async def story() -> None:
        async with replicas(Server(), "a", "b") as (a, b):
            await asyncio.sleep(10)
            setattr(a.link, cut, True)
            assert await seconds_until(a.leader.lost()) <= 6
            assert not b.leader.is_leader
            assert await seconds_until(b.leader.acquired()) <= 12

    run(story())


def test_a_renewal_whose_answer_was_lost_costs_no_leadership() -> None:
    async def story() -> None:
        async with replicas(Server(), "a") as (a,):
            await asyncio.sleep(5)
            a.link.answers_lost = True
            await asyncio.sleep(2.5)
            a.link.answers_lost = False
            for _ in range(100):
                await asyncio.sleep(0.1)
                assert a.leader.is_leader

    run(story())


def test_where_every_answer_takes_two_seconds_one_leads_and_goes_on_leading() -> None:
    async def story() -> None:
        async with replicas(Server(), "a", "b") as (a, b):
            for replica in (a, b):
                replica.link.seconds = 2.0
            await asyncio.sleep(10)
            await a.killed()
            await b.leader.acquired()
            for _ in range(600):
                await asyncio.sleep(0.1)
                assert b.leader.is_leader

    run(story())


def test_leadership_ends_in_time_even_if_the_election_itself_hangs() -> None:
    async def story() -> None:
        async with replicas(Server(), "a") as (a,):
            await asyncio.sleep(5)
            await a.killed()
            assert await seconds_until(a.leader.lost()) <= 6
            assert not a.leader.is_leader

    run(story())


def test_an_overwritten_lease_ends_leadership_at_the_next_renewal() -> None:
    async def story() -> None:
        server = Server()
        async with replicas(server, "a") as (a,):
            await asyncio.sleep(5)
            assert server.lease
            server.replace(server.lease | {"spec": server.lease["spec"] | {"holderIdentity": "somebody"}})
            assert await seconds_until(a.leader.lost()) <= 2.1

    run(story())


def test_a_deleted_lease_is_made_again_by_its_holder() -> None:
    async def story() -> None:
        server = Server()
        async with replicas(server, "a", "b") as (a, b):
            await asyncio.sleep(5)
            server.lease = None
            for _ in range(200):
                await asyncio.sleep(0.1)
                assert (a.leader.is_leader, b.leader.is_leader) == (True, False)
            assert server.holder == "a"

    run(story())


def test_after_an_outage_the_holder_leads_again_at_once() -> None:
    async def story() -> None:
        async with replicas(Server(), "a") as (a,):
            await asyncio.sleep(5)
            a.link.requests_lost = True
            await a.leader.lost()
            await asyncio.sleep(30)
            a.link.requests_lost = False
            assert await seconds_until(a.leader.acquired()) <= 4

    run(story())


def test_one_that_steps_down_leaves_the_lease_alone_for_a_while() -> None:
    async def story() -> None:
        async with replicas(Server(), "a") as (a,):
            await asyncio.sleep(5)
            await a.leader.release(stand_by_seconds=10)
            assert 9.5 <= await seconds_until(a.leader.acquired()) <= 12

    run(story())


FAULTS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from(["requests_lost", "answers_lost", "slow", "killed", "released"]),
        st.floats(0.1, 12),
    ),
    max_size=8,
)


@given(faults=FAULTS)
@settings(max_examples=150, deadline=None)
def test_two_never_lead_at_once_whatever_happens(faults: list[tuple[str, str, float]]) -> None:
    async def story() -> None:
        server = Server()
        async with replicas(server, "a", "b") as (a, b):
            overlaps = 0

            async def watch() -> None:
                nonlocal overlaps
                while True:
                    overlaps += a.leader.is_leader and b.leader.is_leader
                    await asyncio.sleep(0.05)

            watcher = asyncio.create_task(watch())
            for who, what, seconds in faults:
                replica = a if who == "a" else b
                link = replica.link
                if what == "slow":
                    link.seconds = 1.7
                elif what == "killed":
                    await replica.killed()
                elif what == "released":
                    await replica.leader.release(stand_by_seconds=1)
                else:
                    setattr(link, what, True)
                await asyncio.sleep(seconds)
                link.requests_lost = link.answers_lost = False
                link.seconds = 0.01
                if replica.task.done():
                    replica.task = asyncio.create_task(replica.leader.run())
            await asyncio.sleep(20)
            assert overlaps == 0
            assert a.leader.is_leader or b.leader.is_leader
            watcher.cancel()

    run(story())
