"""Where a queue is, whoever asks for it and however its server is written: so two that count one are found. Pure.

What only a resolver would know for the same server is told apart.
"""

from collections.abc import Hashable
from dataclasses import replace
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qs, urlsplit

from pynenc_operator.backends import MOST_REMEMBERED, Backend, BackendKind, BrokerError
from pynenc_operator.mongourl import database_of
from pynenc_worker.amqp_url import AmqpUrlError, parse_amqp_url

_REDIS_PORT: Final = 6379
_AMQP_PORTS: Final = frozenset({5671, 5672})  # of one server, with TLS and without
_CLUSTER_DOMAIN: Final = ".cluster.local"  # Kubernetes' default


@lru_cache(MOST_REMEMBERED)
def place_of(backend: Backend) -> Hashable:
    """What runners of one queue have in common, whatever names in it they serve; on RabbitMQ whatever their apps."""
    try:
        return (backend.kind, *_place(backend))
    except (BrokerError, AmqpUrlError, ValueError):
        return replace(backend, queues=())  # it will be refused


def _place(backend: Backend) -> tuple[Hashable, ...]:
    match backend.kind:
        case BackendKind.RABBITMQ:
            amqp = parse_amqp_url(backend.url)
            port = 0 if amqp.port in _AMQP_PORTS else amqp.port
            return (_host(amqp.host), port, amqp.vhost, backend.queue)
        case BackendKind.REDIS:
            redis = urlsplit(backend.url)
            [database] = parse_qs(redis.query).get("db", [redis.path.strip("/") or "0"])
            return (_host(redis.hostname or ""), redis.port or _REDIS_PORT, int(database), backend.app_id)
        case BackendKind.MONGODB:
            return (backend.server, database_of(backend.url), backend.app_id)
        case BackendKind.SQLITE:
            return (backend.url, backend.app_id)


def _host(name: str) -> str:
    return name.lower().removesuffix(".").removesuffix(_CLUSTER_DOMAIN)
