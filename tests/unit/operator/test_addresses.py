"""Which addresses and URLs the operator connects to, and which it refuses without a word on the network."""

import socket

import pytest

from pynenc_operator.addresses import MOST_ADDRESSES, first, resolved
from pynenc_operator.backends import BrokerError, BrokerErrorKind, checked_redis_url, is_local

LOCAL = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104 - nothing is bound
    "169.254.169.254",
    "224.0.0.1",
    "::",
    "::1",
    "::1%lo",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "fd00:ec2::254",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "::ffff:0.0.0.0",
    "::127.0.0.1",
    "::169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::",
]
ELSEWHERE = [
    "10.96.0.10",
    "192.168.1.1",
    "8.8.8.8",
    "fd00:10:96::a",
    "2001:db8::1",
    "64:ff9b::a60:a",
    "::ffff:10.0.0.1",
]


@pytest.mark.parametrize("address", LOCAL)
def test_an_address_that_leads_to_the_pod_or_its_node_is_local_in_each_of_its_forms(address: str) -> None:
    assert is_local(address)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_one_of_another_host_is_not(address: str) -> None:
    assert not is_local(address)


def resolving_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 6379)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def test_of_many_addresses_that_a_host_has_a_few_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [f"10.0.0.{number}" for number in range(100)]
    resolving_to(monkeypatch, *many, *many)
    tried = []

    def connect(address: str) -> str:
        tried.append(address)
        raise OSError(address)

    with pytest.raises(OSError, match=many[MOST_ADDRESSES - 1]):
        first(resolved("host", 6379), connect)
    assert tried == many[:MOST_ADDRESSES]
    assert first(resolved("host", 6379), str.upper) == many[0]


def test_a_local_one_behind_all_others_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving_to(monkeypatch, *(f"10.0.0.{number}" for number in range(100)), "127.0.0.1")
    with pytest.raises(BrokerError) as refused:
        resolved("host", 6379)
    assert refused.value.kind is BrokerErrorKind.REFUSED
    assert len(resolved("host", 6379, allow_local=True)) == MOST_ADDRESSES


@pytest.mark.parametrize(
    "url",
    [
        "unix:///run/redis.sock",
        "redis+unix:///run/redis.sock",
        "http://redis:6379",
        "file:///etc/passwd",
        "redis:///run/redis.sock",
        "redis://:6379",
        "redis://redis:port",
        "redis://redis:99999",
        "redis://[half",
        "redis://redis/run/redis.sock",
        "redis://redis/0/../1",
        "redis://redis?path=/run/redis.sock",
        "redis://redis?host=127.0.0.1",
        "redis://redis?port=8080",
        "redis://redis?password=x",
        "redis://redis?username=x",
        "redis://redis?unix_socket_path=/run/redis.sock",
        "redis://redis?connection_class=Mine",
        "redis://redis?credential_provider=mine",
        "redis://redis?retry=9",
        "redis://redis?ssl_ca_certs=/var/run/secrets/kubernetes.io/serviceaccount/token",
        "redis://redis?ssl_ca_path=/",
        "rediss://redis?ssl_keyfile=/etc/shadow",
        "rediss://redis?ssl_certfile=/etc/shadow",
        "redis://redis?%70ath=/run/redis.sock",
        "redis://redis?db=0;path=/run/redis.sock&path=/run/redis.sock",
    ],
)
def test_a_url_with_anything_that_is_not_known_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(BrokerError) as refused:
        checked_redis_url(url)
    assert refused.value.kind is BrokerErrorKind.REFUSED
    assert url not in str(refused.value)
    assert not refused.value.__cause__
    assert refused.value.__suppress_context__ or not refused.value.__context__


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://sentinel:26379/mymaster",
        "rediss+cluster://redis:6379",
        "redis://sentinel-0:26379,sentinel-1:26379/0",
        "redis://user:pa,55@redis-0,redis-1:6379",
        "rediss://redis-0:6379,redis-1:6379,redis-2:6379",
    ],
)
def test_a_url_of_sentinels_or_of_a_cluster_is_refused_with_the_mend(url: str) -> None:
    with pytest.raises(BrokerError, match="asks no Sentinel and follows no Cluster; name one server") as refused:
        checked_redis_url(url)
    assert refused.value.kind is BrokerErrorKind.REFUSED


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("redis://u:p%40@redis:6379/1", "redis://u:p%40@redis:6379/1"),
        ("redis://u:p,w@redis:6379/15", "redis://u:p,w@redis:6379/15"),
        ("redis://redis?socket_timeout=600&max_connections=10000&retry_on_timeout=1", "redis://redis"),
        ("rediss://redis?ssl_cert_reqs=none&timeout=1#@127.0.0.1", "rediss://redis?ssl_cert_reqs=none"),
        ("redis://redis?db=1&db=2", "redis://redis?db=1&db=2"),
    ],
)
def test_what_only_tunes_a_client_is_taken_off(url: str, kept: str) -> None:
    assert checked_redis_url(url) == kept
