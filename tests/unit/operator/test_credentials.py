"""What is known of a backend's URL while its Secret can't be read."""

import base64
import logging
from typing import Any

import pytest

from pynenc_operator.backends import Backend, BackendKind
from pynenc_operator.credentials import Credentials, CredentialsError
from pynenc_operator.kube import NotFound
from pynenc_operator.kube_errors import Forbidden, KubeError, Unavailable
from pynenc_operator.model import Key
from tests.unit.operator.builders import Time
from tests.unit.operator.resources import RABBITMQ, runner

KEY = Key("shop", "reports")
BACKEND = {"redis": {"urlFrom": {"secretKeyRef": {"name": "reports-redis", "key": "url"}}}}
OTHER = {"redis": {"urlFrom": {"secretKeyRef": {"name": "other", "key": "url"}}}}
OLD, NEW = "redis://:old@redis.shop.svc:6379", "redis://:new@redis.shop.svc:6379"


class Secrets:
    """An API server that gives one Secret, or fails."""

    def __init__(self) -> None:
        self.data: dict[str, str] | None = {"url": base64.b64encode(OLD.encode()).decode()}
        self.error: KubeError | None = None
        self.reads = 0

    async def get_secret(self, namespace: str, name: str) -> dict[str, Any]:
        del namespace, name
        self.reads += 1
        if self.error:
            raise self.error
        return {"data": self.data}


def failure(kind: type[KubeError]) -> KubeError:
    return kind("not now", verb="get", resource="secrets", namespace="shop", name="reports-redis")


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
def credentials(secrets: Secrets, time: Time) -> Credentials:
    return Credentials(secrets, sqlite_dir="/data", monotonic=time)  # type: ignore[arg-type]


async def url(credentials: Credentials, backend: dict[str, Any] = BACKEND) -> str:
    return (await credentials.backend(KEY, runner(backend=backend))).url


@pytest.mark.parametrize("kind", [Unavailable, Forbidden, NotFound])
async def test_a_url_counts_until_another_one_has_been_read(
    credentials: Credentials, secrets: Secrets, time: Time, kind: type[KubeError], caplog: pytest.LogCaptureFixture
) -> None:
    assert await url(credentials) == OLD
    secrets.error = failure(kind)
    with caplog.at_level(logging.WARNING):
        for _ in range(60):
            time.now += 1
            credentials.refresh(KEY)
            assert await url(credentials) == OLD
    assert secrets.reads == 7  # once, and every 10 s from the tenth on
    [record] = caplog.records
    assert "shop/reports: Secret shop/reports-redis" in record.getMessage()
    assert "old" not in record.getMessage()

    secrets.error, secrets.data = None, {"url": base64.b64encode(NEW.encode()).decode()}
    time.now += 11
    assert await url(credentials) == NEW  # without being asked for it again
    assert await url(credentials) == NEW
    assert secrets.reads == 8


@pytest.mark.parametrize(("outage", "reads"), [(False, 6), (True, 3)])
async def test_an_outage_has_the_secret_read_half_as_often_as_a_refused_password(
    credentials: Credentials, secrets: Secrets, time: Time, *, outage: bool, reads: int
) -> None:
    for _ in range(60):
        credentials.refresh(KEY, outage=outage)
        assert await url(credentials) == OLD
        time.now += 1
    assert secrets.reads == reads


async def test_each_spell_of_trouble_is_logged(
    credentials: Credentials, secrets: Secrets, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    for error in (None, failure(Unavailable), None, failure(Unavailable)):
        secrets.error = error
        time.now += 11
        credentials.refresh(KEY)
        await url(credentials)
    assert len(caplog.records) == 2


@pytest.mark.parametrize("data", [None, {}, {"url": "~"}, {"url": base64.b64encode(b"redis://[x").decode()}])
async def test_a_secret_that_holds_no_url_any_more_takes_none_away(
    credentials: Credentials, secrets: Secrets, time: Time, data: dict[str, str] | None
) -> None:
    await url(credentials)
    secrets.data = data
    time.now += 11
    credentials.refresh(KEY)
    assert await url(credentials) == OLD
    assert secrets.reads == 2


async def test_the_url_of_another_secret_does_not_count(credentials: Credentials, secrets: Secrets) -> None:
    await url(credentials)
    secrets.error = failure(Unavailable)
    with pytest.raises(CredentialsError, match="shop/other can't be read now"):
        await url(credentials, OTHER)
    assert await url(credentials) == OLD


async def test_a_secret_that_was_never_read_gives_no_url(
    credentials: Credentials, secrets: Secrets, time: Time
) -> None:
    secrets.error = failure(NotFound)
    for _ in range(12):
        with pytest.raises(CredentialsError, match="does not exist: create it"):
            await url(credentials)
        time.now += 1
    assert secrets.reads == 2
    secrets.error = None
    time.now += 10
    assert await url(credentials) == OLD


async def test_a_runner_that_is_gone_leaves_nothing(credentials: Credentials, secrets: Secrets) -> None:
    await url(credentials)
    credentials.forget(KEY)
    secrets.error = failure(NotFound)
    with pytest.raises(CredentialsError):
        await url(credentials)


async def test_a_rabbitmq_has_its_queue_and_a_redis_for_the_rest(credentials: Credentials) -> None:
    backend = await credentials.backend(KEY, runner(backend=RABBITMQ))
    assert (backend.kind, backend.url) == (BackendKind.RABBITMQ, "amqp://rabbitmq.shop.svc/shop")
    assert backend.queue == "reports_broker_messages"
    assert backend.rest == Backend(BackendKind.REDIS, "redis://redis.shop.svc:6379", "reports")
    redis = await credentials.backend(KEY, runner())
    assert redis.rest is redis


async def test_the_secrets_of_queue_and_store_are_read_and_refreshed_each_for_itself(time: Time) -> None:
    urls = {"mq": "amqp://:old@mq.shop.svc", "redis": "redis://:old@redis.shop.svc"}
    reads: list[str] = []

    class TwoSecrets:
        async def get_secret(self, namespace: str, name: str) -> dict[str, Any]:
            del namespace
            reads.append(name)
            return {"data": {"url": base64.b64encode(urls[name].encode()).decode()}}

    def by_secret(name: str) -> dict[str, Any]:
        return {"urlFrom": {"secretKeyRef": {"name": name, "key": "url"}}}

    how = {"rabbitmq": {**by_secret("mq"), "queuePrefix": "pynenc", "redis": by_secret("redis")}}
    credentials = Credentials(TwoSecrets(), sqlite_dir="/data", monotonic=time)  # type: ignore[arg-type]
    for _ in range(3):
        backend = await credentials.backend(KEY, runner(backend=how))
    assert reads == ["mq", "redis"]
    assert (backend.url, backend.rest.url) == (urls["mq"], urls["redis"])
    urls["redis"] = "redis://:new@redis.shop.svc"
    time.now += 11
    credentials.refresh(KEY)
    backend = await credentials.backend(KEY, runner(backend=how))
    assert reads == ["mq", "redis"] * 2
    assert (backend.url, backend.rest.url) == (urls["mq"], "redis://:new@redis.shop.svc")


async def test_an_example_of_a_url_is_of_the_backends_own_kind(credentials: Credentials, secrets: Secrets) -> None:
    secrets.data = {"url": base64.b64encode(b"amqp://[x").decode()}
    how = {**RABBITMQ["rabbitmq"], **BACKEND["redis"]}
    del how["url"]
    with pytest.raises(CredentialsError, match="Secret shop/reports-redis holds no URL: write amqp://host:5672/vhost"):
        await credentials.backend(KEY, runner(backend={"rabbitmq": how}))


async def test_a_sqlite_file_is_in_the_folder_of_its_runners_namespace(credentials: Credentials) -> None:
    backend = {"sqlite": {"claimName": "data", "path": "reports/pynenc.db"}}
    assert await url(credentials, backend) == "/data/shop/reports/pynenc.db"


@pytest.mark.parametrize(
    "path",
    ["/data/other/pynenc.db", "../other/pynenc.db", "reports/../../other/pynenc.db", "reports/..", "/etc/passwd"],
)
async def test_a_sqlite_path_that_leads_out_of_it_is_refused_whatever_the_schema_let_through(
    credentials: Credentials, path: str
) -> None:
    with pytest.raises(CredentialsError, match="leads out of the folder of its namespace"):
        await url(credentials, {"sqlite": {"claimName": "data", "path": path}})
