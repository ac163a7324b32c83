"""Whose servers and connections a runner's URL can't lead the operator to: real Redis, the operator's own process."""

import socket
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from pynenc_operator import addresses as checked
from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.broker import BackendSource
from pynenc_operator.questions import CountQueue
from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.rest import Api
from tests.integration.operator.stranger import by_secret, reachable, running
from tests.integration.operator.trap import Trap
from tests.integration.redis_server import RedisServer

# With {port}, where something listens on each loopback address, and {socket}, a Unix socket.
LOCAL_URLS = [
    "redis://127.0.0.1:{port}",
    "rediss://127.0.0.1:{port}",
    "redis://127.1:{port}/0",
    "redis://0x7f.0.0.1:{port}",
    "redis://0177.0.0.1:{port}",
    "redis://127.0.1:{port}",
    "redis://0.0.0.0:{port}",
    "redis://localhost:{port}",
    "redis://LOCALHOST:{port}",
    "redis://[::1]:{port}",
    "redis://[::]:{port}",
    "redis://[::ffff:127.0.0.1]:{port}",
    "redis://[::ffff:7f00:1]:{port}",
    "redis://[::127.0.0.1]:{port}",
    "redis://[64:ff9b::7f00:1]:{port}",
    "redis://169.254.169.254:{port}",
    "redis://[fe80::1]:{port}",
    "redis://[fd00:ec2::254]:{port}",
    "redis://redis.shop.svc:6379@127.0.0.1:{port}",
    "redis://user:pa55@word@127.0.0.1:{port}",
    "redis://127.0.0.1:{port}#@redis.shop.svc:6379",
    "redis://127.0.0.1:{port}?socket_timeout=600",
    "redis://redis.shop.svc:6379?host=127.0.0.1&port={port}",
    "redis://redis.shop.svc:6379?path={socket}",
    "redis://redis.shop.svc:6379?unix_socket_path={socket}",
    "redis://{socket}",
    "unix://{socket}",
    "http://127.0.0.1:{port}",
]
# What these mean depends on who reads them: nothing may be reached all the same.
ODD_URLS = [
    "redis://redis.shop.svc#@127.0.0.1:{port}@127.0.0.1:{port}",
    "redis://2130706433:{port}",
    "redis://0:{port}",
    "redis://127.0.0.1%2e:{port}",
    "redis://127%2E0%2E0%2E1:{port}",
    "redis://127.0%2E0.1:{port}",
    "redis://[::1%25lo]:{port}",
    "redis://redis.shop.svc\\@127.0.0.1:{port}",
    "redis:127.0.0.1:{port}",
    "redis://$(KUBERNETES_SERVICE_HOST):{port}",
    "redis://${{PYNENC_OPERATOR_LEASE_NAME}}:{port}",
]


@pytest.mark.fault("security", "39 URLs that lead to the operator's own loopback, link-local addresses or Unix sockets")
def test_no_form_of_a_url_leads_to_the_operators_own_pod(
    crd_installed: HalfCluster, namespace: str, api: Api, tmp_path: Path
) -> None:
    trap, path = Trap(), str(tmp_path / "trap.sock")
    with trap.listening("127.0.0.1", "::1", path) as port, running(crd_installed, namespace, tmp_path) as operator:
        urls = [url.format(port=port, socket=path) for url in (*LOCAL_URLS, *ODD_URLS)]
        names = [f"r{number}" for number in range(len(urls))]
        for name, url in zip(names, urls, strict=True):
            by_secret(api, name, url)
        operator.until("all are looked at", lambda: all(reachable(api, name) for name in names))
        told = {url: reachable(api, name) for url, name in zip(urls, names, strict=True)}
        log = operator.log()
    assert trap.visits == []
    assert {url: told[url] for url in urls[: len(LOCAL_URLS)] if told[url] != "Refused"} == {}
    assert set(told.values()) <= {"Refused", "Unreachable", "Timeout", "CredentialsMissing"}
    assert "Traceback" not in log


@pytest.mark.fault("security", "a host name that turns to the operator's loopback after its URL was checked")
async def test_a_name_is_resolved_and_checked_anew_for_every_connection(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del redis
    addresses = {"turns.example": "127.0.0.2"}  # the one loopback address that counts as another host here
    resolve = socket.getaddrinfo

    def resolved(host: str, *arguments: Any, **more: Any) -> Any:
        return resolve(addresses.get(host, host), *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(checked, "is_local", lambda address: address != "127.0.0.2")
    trap, source = Trap(), BackendSource()
    with RedisServer.running(tmp_path, "127.0.0.2") as server, trap.listening("127.0.0.1", port=server.port):
        backend = Backend(BackendKind.REDIS, f"redis://turns.example:{server.port}", "reports")
        assert (await source.ask(backend, CountQueue())).waiting == 0
        addresses["turns.example"] = "127.0.0.1"
        with Redis.from_url(server.url) as administrator:
            administrator.client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(BrokerError) as refused:
            await source.ask(backend, CountQueue())
        assert refused.value.kind is BrokerErrorKind.REFUSED
        addresses["turns.example"] = "127.0.0.2"
        assert (await source.ask(backend, CountQueue())).waiting == 0
    assert trap.visits == []


@pytest.mark.fault("security", "a Redis whose password one runner has and others of the same server and app have not")
async def test_a_connection_that_one_runner_has_logged_in_serves_no_other(redis: RedisServer) -> None:
    with Redis.from_url(redis.url) as administrator:
        administrator.acl_setuser("shop", enabled=True, passwords=["+r1ght-pa55"], categories=["+@all"], keys=["*"])
        administrator.rpush("__pynenc__:reports:broker:default_queue", "one", "two", "three")
        administrator.acl_setuser("default", enabled=False)
    source = BackendSource(allow_local=True)
    address = redis.url.removeprefix("redis://")
    with_password = Backend(BackendKind.REDIS, f"redis://shop:r1ght-pa55@{address}", "reports")
    others = ["", "shop@", "shop:@", "shop:wr0ng-pa55@", ":r1ght-pa55@", "another:r1ght-pa55@", "shop:r1ght-pa55%00@"]
    for _ in range(3):
        assert (await source.ask(with_password, CountQueue())).waiting == 3
        for other in others:
            with pytest.raises(BrokerError) as refused:
                await source.ask(Backend(BackendKind.REDIS, f"redis://{other}{address}", "reports"), CountQueue())
            assert refused.value.kind is BrokerErrorKind.AUTHENTICATION, other
