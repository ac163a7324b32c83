"""Which requests are sent again, against an HTTP server that answers as told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from pynenc_operator.clock import Clock
from pynenc_operator.kube_call import DRY_RUN, Call, Repeat
from pynenc_operator.kube_connection import Connection
from pynenc_operator.kube_errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Unavailable,
    from_answer,
)
from pynenc_operator.writewindow import MOST_WRITES


class Server:
    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.requests: list[str] = []
        self.codes: list[tuple[str, str, str]] = []
        self.page: str | None = None
        self.takes = 0.0  # seconds
        self.at_a_time = self.most_at_a_time = 0
        self.connection: Connection

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request.method)
        status, headers = self.answers.pop(0) if self.answers else (200, {})
        self.at_a_time += 1
        self.most_at_a_time = max(self.most_at_a_time, self.at_a_time)
        await asyncio.sleep(self.takes)
        self.at_a_time -= 1
        if self.page:
            return web.Response(status=status, text=self.page)
        return web.json_response({"reason": "Told", "message": "as told"}, status=status, headers=headers)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    told = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", told.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    configuration = Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
    told.connection = Connection(
        configuration, Clock(), lambda verb, resource, code, _seconds: told.codes.append((verb, resource, code))
    )
    yield told
    await told.connection.close()
    await runner.cleanup()


async def send(
    server: Server, repeat: Repeat, deadline: float = 5.0, verb: str = "verb", resource: str = "things"
) -> dict[str, Any]:
    call = Call(verb, "POST", resource, "/things", "space", "name", body={"a": 1}, repeat=repeat)
    return await server.connection.request(call, deadline)


async def test_a_read_outlives_a_server_error(server: Server) -> None:
    server.answers = [(503, {}), (500, {})]
    await send(server, Repeat.READ)
    assert server.codes == [("verb", "things", "503"), ("verb", "things", "500"), ("verb", "things", "200")]


@pytest.mark.parametrize("repeat", [Repeat.ONCE, Repeat.NEVER])
async def test_a_write_that_a_server_error_met_may_have_been_done_and_is_not_sent_again(
    server: Server, repeat: Repeat
) -> None:
    server.answers = [(503, {})]
    with pytest.raises(Unavailable):
        await send(server, repeat)
    assert len(server.requests) == 1


@pytest.mark.parametrize("repeat", list(Repeat))
async def test_what_was_refused_for_now_is_sent_again_after_the_time_that_the_server_asks_for(
    server: Server, repeat: Repeat
) -> None:
    server.answers = [(429, {"Retry-After": "0.3"})]
    await send(server, repeat)
    assert len(server.requests) == 2


async def send_in_turn(
    server: Server, still: Callable[[], None] = lambda: None, deadline: float = 5.0
) -> dict[str, Any]:
    call = Call("create", "POST", "pods", "/pods", "space", "name", body={"a": 1})
    assert call.in_turn
    return await server.connection.request_in_turn(call, deadline, still)


async def test_writes_go_a_few_at_a_time_and_fewer_after_a_server_that_has_too_many(server: Server) -> None:
    server.takes = 0.02
    await asyncio.gather(*(send_in_turn(server) for _ in range(30)))
    assert server.most_at_a_time == MOST_WRITES
    server.answers = [(429, {})]
    await asyncio.gather(*(send_in_turn(server) for _ in range(MOST_WRITES)))
    server.most_at_a_time = 0
    await asyncio.gather(*(send_in_turn(server) for _ in range(MOST_WRITES)))
    assert server.most_at_a_time < MOST_WRITES


async def test_a_wait_for_its_turn_takes_nothing_from_a_writes_own_time(server: Server) -> None:
    server.takes = 0.3
    await asyncio.gather(*(send_in_turn(server, deadline=0.8) for _ in range(4 * MOST_WRITES)))
    assert len(server.requests) == 4 * MOST_WRITES


async def test_what_may_no_longer_be_sent_when_its_turn_comes_is_not(server: Server) -> None:
    server.takes = 0.2
    led = True

    def still() -> None:
        if not led:
            raise call.without_answer("NotLeading", "too late")

    call = Call("create", "POST", "pods", "/pods")
    writes = [asyncio.create_task(send_in_turn(server, still)) for _ in range(2 * MOST_WRITES)]
    await asyncio.sleep(0.1)
    led = False
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert len(server.requests) == MOST_WRITES
    assert [type(result) for result in results[MOST_WRITES:]] == [Unavailable] * MOST_WRITES


@pytest.mark.parametrize(
    ("verb", "resource", "query"),
    [
        ("list", "pods", ()),
        ("create", "pods", (DRY_RUN,)),
        ("update", "leases", ()),
        ("patch", "multithreadrunners/status", ()),
        ("create", "events", ()),
    ],
)
def test_only_what_there_may_be_thousands_of_waits_for_its_turn(verb: str, resource: str, query: Any) -> None:
    assert not Call(verb, "POST", resource, "/things", query=query).in_turn


async def test_a_server_that_asks_for_more_time_than_there_is_is_not_waited_for(server: Server) -> None:
    server.answers = [(429, {"Retry-After": "30"})]
    with pytest.raises(Unavailable) as refusal:
        await send(server, Repeat.READ, deadline=2.0)
    assert refusal.value.retry_after == 30
    assert len(server.requests) == 1


async def test_reads_are_tried_a_bounded_number_of_times(server: Server) -> None:
    server.answers = [(503, {})] * 20
    with pytest.raises(Unavailable, match="verb things/space/name: 503 Told: as told"):
        await send(server, Repeat.READ)
    assert len(server.requests) == 4


async def test_a_proxys_page_in_place_of_an_answer_is_told_in_short(server: Server) -> None:
    server.answers = [(403, {})]
    server.page = "<html>denied" + "x" * 10_000
    with pytest.raises(Forbidden, match="<html>denied") as refusal:
        await send(server, Repeat.NEVER)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "BadRequest", Invalid),
        (401, "Unauthorized", KubeError),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", Unavailable),
        (500, "InternalError", Unavailable),
        (504, "Timeout", Unavailable),
    ],
)
def test_an_answer_becomes_the_error_that_says_what_to_do(status: int, reason: str, kind: type[KubeError]) -> None:
    error = from_answer(status, {"reason": reason}, verb="get", resource="pods", namespace="a", name="b")
    assert type(error) is kind
