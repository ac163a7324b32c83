"""What is asked of runners' backends, and what is made of their answers."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.credentials import Credentials
from pynenc_operator.kube import NotFound
from pynenc_operator.model import Key, QueueMark
from pynenc_operator.questions import HELD, STATUSES, CountInvocations, CountQueue, QueueCount, ReadHeartbeats
from pynenc_operator.queuedepth import QueueDepths
from tests.unit.operator.builders import Time
from tests.unit.operator.resources import RABBITMQ, runner

KEY = Key("shop", "reports")
SECRET = {"redis": {"urlFrom": {"secretKeyRef": {"name": "reports-redis", "key": "url"}}}}


class Source:
    """A broker that answers what the test says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: int | BrokerError = 0
        self.asked: list[Backend] = []
        self.questions: list[Any] = []
        self.invocations: dict[str, int] | None = None

    async def ask(self, backend: Backend, question: Any) -> Any:
        self.asked.append(backend)
        self.questions.append(question)
        if isinstance(self.answer, BrokerError):
            raise self.answer
        return self.invocations if isinstance(question, CountInvocations) else QueueCount(self.answer)


class Secrets:
    """An API server with one Secret, or none."""

    def __init__(self, url: str | None) -> None:
        self.url = url
        self.reads = 0

    async def get_secret(self, namespace: str, name: str) -> dict[str, Any]:
        self.reads += 1
        if self.url is None:
            raise NotFound("none", verb="get", resource="secrets", namespace=namespace, name=name)
        return {"data": {"url": base64.b64encode(self.url.encode()).decode()}}


@pytest.fixture
def source() -> Source:
    return Source()


def depths(source: Source, time: Time, secrets: Secrets | None = None) -> QueueDepths:
    credentials = Credentials(secrets or Secrets(None), sqlite_dir="/data", monotonic=time)  # type: ignore[arg-type]
    return QueueDepths(source, credentials, time)  # type: ignore[arg-type]


async def test_a_failed_count_is_unknown_and_not_zero(source: Source, time: Time) -> None:
    source.answer = BrokerError(BrokerErrorKind.UNREACHABLE, "ConnectionError")
    reading = await depths(source, time).read(KEY, runner())
    assert (reading.depth, reading.down_since) == (None, 1000.0)
    assert reading.problem
    assert reading.problem.reason == "Unreachable"


async def test_an_outage_is_told_in_one_way_whether_it_refuses_or_is_slow(source: Source, time: Time) -> None:
    queue = depths(source, time)

    async def told(kind: BrokerErrorKind) -> str:
        source.answer = BrokerError(kind, "SomeError")
        reading = await queue.read(KEY, runner())
        assert reading.problem
        return reading.problem.reason

    timeout, unreachable = BrokerErrorKind.TIMEOUT, BrokerErrorKind.UNREACHABLE
    assert [await told(kind) for kind in (timeout, unreachable, timeout, unreachable, timeout)] == [
        "Timeout",
        *["Unreachable"] * 4,
    ]
    assert await told(BrokerErrorKind.AUTHENTICATION) == "AuthenticationFailed"  # it answers again
    assert await told(timeout) == "Timeout"
    source.answer = 0
    await queue.read(KEY, runner())
    assert await told(timeout) == "Timeout"


async def test_a_bare_host_is_the_runners_neighbour(source: Source, time: Time) -> None:
    await depths(source, time).read(KEY, runner())
    assert source.asked == [Backend(BackendKind.REDIS, "redis://redis.shop.svc:6379", "reports")]


@pytest.mark.parametrize(
    "error",
    [
        BrokerError(BrokerErrorKind.AUTHENTICATION, "AnError"),
        BrokerError(BrokerErrorKind.UNREACHABLE, "AnError"),
        BrokerError(BrokerErrorKind.TIMEOUT, "AnError"),
        BrokerError(BrokerErrorKind.REFUSED, "it is not known"),
        BrokerError(BrokerErrorKind.UNSUPPORTED, "its server is a Sentinel", of_server=True),
    ],
    ids=lambda error: str(error.kind),
)
async def test_a_secret_is_read_once_and_again_when_its_url_does_not_serve(
    source: Source, time: Time, error: BrokerError
) -> None:
    secrets = Secrets("redis://:old@redis:6379")
    queue = depths(source, time, secrets)
    for _ in range(3):
        await queue.read(KEY, runner(backend=SECRET))
    assert secrets.reads == 1

    secrets.url = "redis://:new@redis:6379"
    source.answer = error
    time.now += 21
    await queue.read(KEY, runner(backend=SECRET))
    source.answer = 4
    reading = await queue.read(KEY, runner(backend=SECRET))
    assert secrets.reads == 2
    assert reading.depth
    assert (reading.depth.count, reading.depth.peak) == (4, 4)
    assert "new" in source.asked[-1].url


@pytest.mark.parametrize("kind", [BrokerErrorKind.UNSUPPORTED, BrokerErrorKind.OVERLOADED])
async def test_a_secret_is_not_read_again_where_another_url_would_change_nothing(
    source: Source, time: Time, kind: BrokerErrorKind
) -> None:
    secrets = Secrets("redis://redis:6379")
    queue = depths(source, time, secrets)
    source.answer = BrokerError(kind, "it has no plugin")
    for _ in range(5):
        await queue.read(KEY, runner(backend=SECRET))
        time.now += 21
    assert secrets.reads == 1


async def test_a_missing_secret_is_named_and_looked_up_rarely(source: Source, time: Time) -> None:
    secrets = Secrets(None)
    queue = depths(source, time, secrets)
    for _ in range(5):
        reading = await queue.read(KEY, runner(backend=SECRET))
    assert reading.problem
    assert reading.problem.reason == "CredentialsMissing"
    assert "shop/reports-redis" in reading.problem.message
    assert secrets.reads == 1
    time.now += 11
    await queue.read(KEY, runner(backend=SECRET))
    assert secrets.reads == 2


def test_a_backend_never_shows_its_url() -> None:
    assert "secret" not in repr(Backend(BackendKind.REDIS, "redis://:secret@redis", "reports"))


async def test_a_url_that_is_none_is_told_without_a_word_of_it(source: Source, time: Time) -> None:
    reading = await depths(source, time, Secrets("redis://:p[hidden]x@redis")).read(KEY, runner(backend=SECRET))
    assert reading.problem
    assert reading.problem.reason == "CredentialsMissing"
    assert "hidden" not in reading.problem.message


async def test_a_second_count_asks_how_many_of_the_first_have_stayed(source: Source, time: Time) -> None:
    queue = depths(source, time)
    mark = QueueMark("default", "an-id", 7)
    source.answer = 7
    first = (await queue.read(KEY, runner())).depth
    assert first
    source.answer = 5
    again = (await queue.read(KEY, runner(), replace(first, marks=(mark,)))).depth
    assert again
    assert source.questions == [CountQueue(), CountQueue((mark,))]
    assert (again.count, again.recount, again.peak, again.marks) == (7, 5, 7, (mark,))


async def test_two_runners_that_count_one_queue_hear_of_each_other(source: Source, time: Time) -> None:
    queue = depths(source, time)
    other = Key("shop", "invoices")
    await queue.read(KEY, runner())
    assert queue.shared(KEY) is None
    await queue.read(other, runner(queues=["fast"]))
    for one, neighbour in ((KEY, "shop/invoices"), (other, "shop/reports")):
        problem = queue.shared(one)
        assert problem
        assert neighbour in problem.message
    await queue.read(KEY, runner(queues=["slow"]))
    assert (queue.shared(KEY), queue.shared(other)) == (None, None)
    await queue.read(KEY, runner())
    queue.forget(KEY)
    assert queue.shared(other) is None


async def test_named_queues_are_shared_where_one_is_in_both(source: Source, time: Time) -> None:
    queue = depths(source, time)
    other = Key("shop", "invoices")
    await queue.read(KEY, runner(queues=["gpu", "mail"]))
    await queue.read(other, runner(queues=["default", "mail"]))
    assert queue.shared(KEY)
    assert queue.shared(other)
    await queue.read(other, runner(queues=["default", "sms"]))
    assert (queue.shared(KEY), queue.shared(other)) == (None, None)


def on_rabbitmq(**changes: Any) -> dict[str, Any]:
    return {"rabbitmq": {**RABBITMQ["rabbitmq"], **changes}}


async def test_two_apps_with_one_queue_prefix_hear_of_each_other(source: Source, time: Time) -> None:
    queue = depths(source, time, Secrets("amqp://shop:pa55@rabbitmq:5672/shop"))
    other = Key("shop", "invoices")
    await queue.read(KEY, runner(backend=on_rabbitmq()))
    by_secret = {"urlFrom": {"secretKeyRef": {"name": "mq", "key": "url"}}, "queuePrefix": "reports"}
    by_secret["redis"] = {"url": "redis://another"}
    await queue.read(other, runner(appId="invoices", backend={"rabbitmq": by_secret}))  # the same, with a password
    for one, neighbour in ((KEY, "shop/invoices"), (other, "shop/reports")):
        problem = queue.shared(one)
        assert problem
        assert (problem.reason, neighbour in problem.message) == ("SameQueuePrefix", True)
        assert "its own spec.backend.rabbitmq.queuePrefix" in problem.message
        assert "pa55" not in problem.message
    for backend in (
        on_rabbitmq(queuePrefix="invoices"),
        on_rabbitmq(url="amqp://rabbitmq"),
        on_rabbitmq(url="amqp://x"),
    ):
        await queue.read(KEY, runner(backend=backend))
        assert (queue.shared(KEY), queue.shared(other)) == (None, None)
    await queue.read(KEY, runner(backend=on_rabbitmq(url="amqp://[x")))  # it will be refused
    assert queue.shared(KEY) is None


async def test_who_holds_what_is_asked_of_the_redis_beside_a_rabbitmq(source: Source, time: Time) -> None:
    queue = depths(source, time)
    await queue.read(KEY, runner(backend=on_rabbitmq()))
    assert queue.can_tell(KEY)
    assert not queue.shows_entries(KEY)
    source.invocations = {"pending": 1, "running": 2}
    assert await queue.held(KEY) == 3
    await queue.heartbeats(KEY, "a")
    assert source.questions[1:] == [CountInvocations(HELD), ReadHeartbeats(("a",))]
    redis = Backend(BackendKind.REDIS, "redis://redis.shop.svc:6379", "reports")
    assert [backend.kind for backend in source.asked] == [BackendKind.RABBITMQ, BackendKind.REDIS, BackendKind.REDIS]
    assert source.asked[1:] == [redis, redis]


async def test_invocations_are_counted_beside_the_queue_once_its_client_is_there(source: Source, time: Time) -> None:
    queue = depths(source, time)
    source.invocations = {"running": 2}
    await queue.read(KEY, runner(backend=on_rabbitmq()))
    assert await queue.invocations(KEY) is None
    await queue.read(KEY, runner(backend=on_rabbitmq()))
    assert await queue.invocations(KEY) == {"running": 2}
    assert source.questions[1:] == [CountQueue(), CountInvocations(STATUSES)]
    assert [backend.kind for backend in source.asked[1:]] == [BackendKind.RABBITMQ, BackendKind.REDIS]


async def test_invocations_of_an_unknown_backend_are_unknown(source: Source, time: Time) -> None:
    secrets = Secrets("redis://:pass@redis:6379")
    queue = depths(source, time, secrets)
    source.invocations = {"running": 2}
    for _ in range(2):
        await queue.read(KEY, runner(backend=SECRET))
    assert await queue.invocations(KEY) == {"running": 2}
    secrets.url = None
    another = {"redis": {"urlFrom": {"secretKeyRef": {"name": "another", "key": "url"}}}}
    assert (await queue.read(KEY, runner(backend=another))).depth is None
    assert await queue.invocations(KEY) is None


async def test_a_redis_that_refuses_its_password_has_the_secrets_read_again(source: Source, time: Time) -> None:
    secrets = Secrets("redis://:old@redis:6379")
    queue = depths(source, time, secrets)
    backend = on_rabbitmq(redis=SECRET["redis"])
    await queue.read(KEY, runner(backend=backend))
    source.answer = BrokerError(BrokerErrorKind.AUTHENTICATION, "AuthenticationError")
    time.now += 11
    assert await queue.held(KEY) is None
    source.answer = 0
    await queue.read(KEY, runner(backend=backend))
    assert secrets.reads == 2
