"""Which ways to write a backend lead to one queue."""

import pytest

from pynenc_operator.backends import Backend, BackendKind
from pynenc_operator.queueplace import place_of


def at(kind: BackendKind, url: str, app_id: str = "reports", queue: str = "") -> object:
    return place_of(Backend(kind, url, app_id, queue=queue))


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (BackendKind.REDIS, "redis://redis.shop.svc:6379/0", "redis://user:secret@Redis.shop.svc"),
        (BackendKind.REDIS, "redis://redis.shop.svc:6379/2", "redis://redis.shop.svc.cluster.local:6379/?db=2"),
        (BackendKind.REDIS, "redis://redis.shop.svc", "redis://redis.shop.svc?socket_timeout=5"),
        (BackendKind.RABBITMQ, "amqp://a:b@mq.shop.svc:5672/shop", "amqps://mq.shop.svc.cluster.local.:5671/shop"),
        (BackendKind.MONGODB, "mongodb://a:1,b:2/?replicaSet=rs", "mongodb://user:secret@b:2,a:1/pynenc"),
        (BackendKind.SQLITE, "/var/lib/shop/pynenc.db", "/var/lib/shop/pynenc.db"),
    ],
)
def test_one_queue_however_its_server_is_written(kind: BackendKind, one: str, other: str) -> None:
    assert at(kind, one) == at(kind, other)
    assert place_of(Backend(kind, one, "reports", queues=("gpu",))) == at(kind, one)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (BackendKind.REDIS, "redis://redis.shop.svc/0", "redis://redis.shop.svc/1"),
        (BackendKind.REDIS, "redis://redis.shop.svc/0", "redis://redis.other.svc/0"),
        (BackendKind.REDIS, "redis://redis.shop.svc:6379", "redis://redis.shop.svc:6380"),
        (BackendKind.RABBITMQ, "amqp://mq:5672/shop", "amqp://mq:5672/other"),
        (BackendKind.RABBITMQ, "amqp://mq:5672/shop", "amqp://mq:15672/shop"),
        (BackendKind.MONGODB, "mongodb://a:1/jobs", "mongodb://a:1/pynenc"),
        (BackendKind.SQLITE, "/var/lib/shop/one.db", "/var/lib/shop/other.db"),
        (BackendKind.REDIS, "redis://redis:6379/x", "redis://redis:6379/y"),  # refused, and not one
    ],
)
def test_another_queue_is_told_apart(kind: BackendKind, one: str, other: str) -> None:
    assert at(kind, one) != at(kind, other)


def test_an_app_has_its_own_queue_but_on_rabbitmq() -> None:
    assert at(BackendKind.REDIS, "redis://redis", "one") != at(BackendKind.REDIS, "redis://redis", "other")
    shared = "amqp://mq:5672/shop"
    assert at(BackendKind.RABBITMQ, shared, "one") == at(BackendKind.RABBITMQ, shared, "other")
    assert at(BackendKind.RABBITMQ, shared, queue="a") != at(BackendKind.RABBITMQ, shared, queue="b")
