"""How pods are watched, against an HTTP server that answers as told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from pynenc_operator import labels, podwatch, watchtrace
from pynenc_operator.clock import Clock
from pynenc_operator.kube_connection import Connection
from pynenc_operator.model import Key
from pynenc_operator.podcache import PodCache
from pynenc_operator.podwatch import PodWatch
from tests.unit.operator import resources

type Json = dict[str, Any]

PODS = "/api/v1/namespaces/shop/pods"
KEY = Key("shop", "reports")


def pod(name: str, version: int, runner: str = "reports") -> Json:
    body = resources.pod()
    body["metadata"] |= {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    body["metadata"]["labels"] |= {labels.RUNNER: runner}
    return body


def event(kind: str, name: str, version: int) -> bytes:
    return json.dumps({"type": kind, "object": pod(name, version)}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return json.dumps({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}).encode() + b"\n"


def error(code: int, reason: str) -> bytes:
    return json.dumps({"type": "ERROR", "object": {"code": code, "reason": reason, "message": "told"}}).encode() + b"\n"


class Server:
    """What a pod watch asks of the API server, and what it makes of the answers."""

    def __init__(self) -> None:
        self.watches: list[tuple[bytes, ...] | int] = []  # chunks of one watch after the other, or a refusal
        self.lists: list[Json | int] = []
        self.asked: list[str] = []  # list, or watch and from where on
        self.queries: list[Json] = []
        self.pods = PodCache()
        self.changed: list[Key] = []
        self.begun: list[bool] = []  # watches, whether one was begun again
        self.paths: set[str] = set()
        self.connection: Connection
        self.watch: PodWatch
        self.watching: asyncio.Task[None] | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.paths.add(request.path)
        self.queries.append(dict(request.query))
        if "watch" not in request.query:
            self.asked.append("list")
            found = self.lists.pop(0) if self.lists else {"items": [], "metadata": {"resourceVersion": "1"}}
            if isinstance(found, int):
                return web.json_response({"reason": "Told"}, status=found)
            return web.json_response(found)
        self.asked.append(f"watch {request.query['resourceVersion']}")
        chunks = self.watches.pop(0) if self.watches else None
        if isinstance(chunks, int):
            return web.json_response({"reason": "Told"}, status=chunks)
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks or ():
            await response.write(chunk)
            await asyncio.sleep(0.01)
        if chunks is None:
            await asyncio.sleep(30)  # nothing more comes
        return response

    def on_watch(self, resource: str, *, restarted: bool) -> None:
        assert resource == "pods"
        self.begun.append(restarted)

    async def list_runners(self, namespace: str | None) -> None:
        assert namespace == "shop"
        self.asked.append("runners")

    def known(self) -> dict[str, str]:
        """The pods that the cache knows, and at which version."""
        return {view.name: view.resource_version for view in self.pods.of(KEY)}

    async def watch_until(self, happened: Callable[[], bool]) -> None:
        self.watch = PodWatch(
            self.connection, ("shop",), self.pods, lambda: 1000.0, self.changed.append, self.on_watch, self.list_runners
        )
        self.watching = asyncio.create_task(self.watch.run())
        async with asyncio.timeout(10):
            while not happened():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(podwatch, "_PAUSES", (0.0, 0.02, 0.02))
    told = Server()
    app = web.Application()
    app.router.add_route("GET", "/{path:.*}", told.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    configuration = Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
    told.connection = Connection(configuration, Clock(), lambda *_: None)
    yield told
    if told.watching:
        told.watching.cancel()
        with suppress(asyncio.CancelledError):
            await told.watching
    await told.connection.close()
    await runner.cleanup()


async def test_what_is_there_is_taken_in_page_by_page_and_then_what_changes(server: Server) -> None:
    server.lists = [
        {"items": [pod("a", 3)], "metadata": {"resourceVersion": "7", "continue": "more"}},
        {"items": [pod("b", 5), pod("c", 6)], "metadata": {"resourceVersion": "7"}},
    ]
    server.watches = [(event("MODIFIED", "a", 8), event("DELETED", "b", 9))]
    await server.watch_until(lambda: "watch 9" in server.asked)
    assert server.asked == ["list", "list", "watch 7", "watch 9"]
    assert server.known() == {"a": "8", "c": "6"}
    assert set(server.changed) == {KEY}
    assert server.pods.is_whole(KEY)
    assert server.paths == {PODS}
    selector = {query["labelSelector"] for query in server.queries}
    assert selector == {"app.kubernetes.io/managed-by=pynenc-operator"}
    assert server.queries[-1]["allowWatchBookmarks"] == "true"
    assert server.queries[-1]["timeoutSeconds"] == str(watchtrace.SERVER_SECONDS)


async def test_an_event_may_come_in_pieces_or_with_others(server: Server) -> None:
    first, second, third = (event("ADDED", name, version) for name, version in (("a", 2), ("b", 3), ("c", 4)))
    server.watches = [(first[:10], first[10:] + second, third[:-1], third[-1:])]
    await server.watch_until(lambda: "watch 4" in server.asked)
    assert server.known() == {"a": "2", "b": "3", "c": "4"}


async def test_a_bookmark_moves_on_and_changes_nothing(server: Server) -> None:
    server.watches = [(bookmark(50),)]
    await server.watch_until(lambda: "watch 50" in server.asked)
    assert server.changed == []
    assert server.begun == [False, True]  # the second is one begun again: the first did not last


async def test_an_event_that_was_cut_off_is_no_event_and_the_next_watch_brings_it_again(server: Server) -> None:
    cut = event("ADDED", "b", 3)[:-20]
    server.watches = [(event("ADDED", "a", 2), cut + b"\n"), (event("ADDED", "b", 3),)]
    await server.watch_until(lambda: "watch 3" in server.asked)
    assert server.asked == ["list", "watch 1", "watch 2", "watch 3"]
    assert server.known() == {"a": "2", "b": "3"}


@pytest.mark.parametrize("gone", [(error(410, "Expired"),), 410])
async def test_of_what_the_server_has_forgotten_a_list_tells(server: Server, gone: tuple[bytes, ...] | int) -> None:
    server.lists = [
        {"items": [pod("a", 3), pod("b", 4), pod("c", 5, "mails")], "metadata": {"resourceVersion": "5"}},
        {"items": [pod("a", 3), pod("d", 900)], "metadata": {"resourceVersion": "900"}},
    ]
    server.watches = [gone]
    await server.watch_until(lambda: "watch 900" in server.asked)
    assert server.asked == ["list", "watch 5", "runners", "list", "watch 900"]
    assert server.known() == {"a": "3", "d": "900"}
    assert server.pods.of(Key("shop", "mails")) == ()
    assert set(server.changed[3:]) == {KEY, Key("shop", "mails")}


async def test_when_the_list_is_old_all_is_listed_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchtrace, "SERVER_SECONDS", 0.001)
    server.lists = [
        {"items": [pod("a", 3), pod("b", 4)], "metadata": {"resourceVersion": "5"}},
        {"items": [pod("a", 3)], "metadata": {"resourceVersion": "6"}},
    ]
    server.watches = [(bookmark(5),)]
    await server.watch_until(lambda: "watch 6" in server.asked)
    assert server.asked == ["list", "watch 5", "runners", "list", "watch 6"]
    assert server.known() == {"a": "3"}  # that b went was missed


async def test_a_list_that_begins_anew_forgets_what_its_first_pages_had(server: Server) -> None:
    server.lists = [
        {"items": [pod("a", 3), pod("b", 4)], "metadata": {"resourceVersion": "7", "continue": "more"}},
        410,
        {"items": [pod("a", 3), pod("c", 8)], "metadata": {"resourceVersion": "9"}},
    ]
    await server.watch_until(lambda: "watch 9" in server.asked)
    assert server.known() == {"a": "3", "c": "8"}


async def test_a_server_in_trouble_is_asked_again_until_it_answers(server: Server) -> None:
    server.lists = [403, 403]
    server.watches = [500, (error(500, "InternalError"),), ()]
    await server.watch_until(lambda: server.asked.count("watch 1") >= 4)
    assert server.asked[:8] == ["list", "list", "list", "watch 1", "watch 1", "runners", "list", "watch 1"]


async def test_who_waits_for_the_list_waits_for_a_while_only(server: Server) -> None:
    server.lists = [403] * 1000
    await server.watch_until(lambda: len(server.asked) > 1)
    await server.watch.listed(0.1)
    assert not server.pods.is_whole(KEY)
    server.lists = []
    await server.watch.listed(10)
    assert server.pods.is_whole(KEY)


async def test_a_watch_on_which_nothing_comes_is_begun_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchtrace, "SILENT_SECONDS", 0.1)
    await server.watch_until(lambda: server.asked.count("watch 1") >= 3)
    assert server.asked.count("list") == 1


async def test_many_events_at_once_let_others_have_their_turn(server: Server) -> None:
    server.watches = [(b"".join(event("ADDED", f"p{number}", number + 2) for number in range(400)),)]
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 0 < len(server.known()) < 400
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await server.watch_until(lambda: len(server.known()) == 400)
    task.cancel()
    assert turns >= 10
