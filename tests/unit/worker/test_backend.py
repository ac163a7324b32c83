"""The backend of a resource, as pynenc's environment."""

from pathlib import Path

import pytest

from pynenc_worker import backend, contract, rabbitmq_backend
from pynenc_worker.config import ConfigError, WorkerConfig
from tests.unit.worker.test_config import COMPLETE


def config(tmp_path: Path, name: str = "redis", url: str = "") -> WorkerConfig:
    return WorkerConfig.from_environ(
        {
            **COMPLETE,
            contract.ENV_BACKEND: name,
            contract.ENV_BACKEND_URL: url,
            "PYNENC_WORKER_BACKEND_DIR": str(tmp_path),
        }
    )


@pytest.mark.parametrize(
    "name",
    [
        "PYNENC__BROKER_CLS",
        "PYNENC__CONFIGPYNENC__ORCHESTRATOR_CLS",
        "PYNENC__RUNNER_CLS",
        "PYNENC__FILEPATH",
        "PYNENC__CONFIGPYNENC__APP_ID",
        "PYNENC__REDIS_URL",
        "PYNENC__CONFIGBROKERREDIS__REDIS_PASSWORD",
        "PYNENC__MONGO_URL",
        "PYNENC__RABBITMQ_HOST",
        "PYNENC__CONFIGRABBITMQ__RABBITMQ_QUEUE_PREFIX",
        "PYNENC__QUEUES",
        "PYNENC__CONFIGBROKERREDIS__QUEUES",
        "PYNENC__MAX_THREADS",
        "PYNENC__CONFIGRUNNER__MIN_THREADS",
        "PYNENC__MIN_PARALLEL_SLOTS",
        "PYNENC__SQLITE_DB_PATH",
        "pynenc__redis_url",
    ],
)
def test_what_contradicts_the_resource_is_named_without_its_value(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name}: set by the resource") as caught:
        backend.refuse_contradictions({name: "s3cret"})
    assert "s3cret" not in str(caught.value)


def test_other_settings_are_the_users() -> None:
    backend.refuse_contradictions(
        {
            **dict.fromkeys(contract.OPERATOR_SETTINGS, "what the operator has set"),
            "PYNENC__REDIS_POOL_MAX_CONNECTIONS": "20",
            "PYNENC__CONFIGORCHESTRATORREDIS__REDIS_RETRY_MAX_DELAY_SEC": "1",
            "PYNENC__LOGGING_LEVEL": "debug",
            "PYNENC__SERIALIZER_CLS": "PickleSerializer",
            "PYNENC__CONFIGREDIS__SOCKET_TIMEOUT": "2",
            "REDIS_URL": "redis://cache",
        }
    )


def test_what_the_operator_sets_are_reserved_settings() -> None:
    assert all(map(backend._contradicts, contract.OPERATOR_SETTINGS))


def test_no_queue_named_is_all_of_them(tmp_path: Path) -> None:
    broker, runner = contract.ENV_QUEUES
    environ = dict.fromkeys(contract.ENV_QUEUES, "")
    backend.derive_environment(backend.chosen(config(tmp_path)), "redis://a", environ)
    assert not {broker, runner} & environ.keys()


def test_named_queues_are_the_runners_and_the_app_says_which_its_broker_has(tmp_path: Path) -> None:
    broker, runner = contract.ENV_QUEUES
    environ = dict.fromkeys(contract.ENV_QUEUES, "fast,slow")
    backend.derive_environment(backend.chosen(config(tmp_path)), "redis://a", environ)
    assert broker not in environ
    assert environ[runner] == "fast,slow"


def test_the_secrets_file_goes_before_the_environment(tmp_path: Path) -> None:
    assert backend.read_url(config(tmp_path, url="redis://a")) == "redis://a"
    (tmp_path / "url").write_text("redis://b\n")
    assert backend.read_url(config(tmp_path, url="redis://a")) == "redis://b"


def test_a_missing_url_names_both_places(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"{tmp_path}/url nor {contract.ENV_BACKEND_URL}"):
        backend.read_url(config(tmp_path))


def test_pynenc_is_told_everything_and_the_users_choice_stays(tmp_path: Path) -> None:
    environ = {"PYNENC__LOG_STREAM": "stderr"}
    backend.derive_environment(backend.chosen(config(tmp_path)), "redis://a", environ)
    assert environ["PYNENC__BROKER_CLS"] == "RedisBroker"
    assert environ["PYNENC__CLIENT_DATA_STORE_CLS"] == "RedisClientDataStore"
    assert environ["PYNENC__STATE_BACKEND_CLS"] == "RedisStateBackend"
    assert environ["PYNENC__REDIS_URL"] == "redis://a"
    assert environ["PYNENC__LOG_STREAM"] == "stderr"
    assert environ["PYNENC__LOG_USE_COLORS"] == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("memory", "one of redis, mongodb, rabbitmq, sqlite"),
        ("mongodb", "needs pynenc-mongo: add it to the image"),
    ],
)
def test_a_backend_that_cannot_work_says_why(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        backend.chosen(config(tmp_path, name))


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("redis://redis:6379/0", "redis://redis:6379/0"),
        ("redis://user:pa%40ss@redis:6379/0?ssl_cert_reqs=none", "redis://redis:6379/0?ssl_cert_reqs=none"),
        ("rediss://:secret@[::1]:6379", "rediss://[::1]:6379"),
    ],
)
def test_a_url_without_its_credentials(url: str, public: str) -> None:
    assert backend.without_credentials(url) == public


def test_on_rabbitmq_all_but_the_broker_is_on_redis(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    backend.derive_environment(backend.chosen(config(tmp_path, "rabbitmq")), "redis://a", environ)
    assert environ["PYNENC__BROKER_CLS"] == "RabbitMqBroker"
    assert environ["PYNENC__ORCHESTRATOR_CLS"] == "RedisOrchestrator"
    assert environ["PYNENC__REDIS_URL"] == "redis://a"


def test_what_pynenc_is_told_of_rabbitmq_has_no_credentials() -> None:
    told = rabbitmq_backend.settings("amqps://us3r:s3cret@mq.example/a%2Fb?verify=verify_none", "reports")
    assert told == {
        "PYNENC__RABBITMQ_HOST": "mq.example",
        "PYNENC__RABBITMQ_PORT": "5671",
        "PYNENC__RABBITMQ_VIRTUAL_HOST": "a/b",
        "PYNENC__RABBITMQ_QUEUE_PREFIX": "reports",
        "PYNENC__RABBITMQ_RETRY_MAX_ATTEMPTS": "3",
    }
    with pytest.raises(ConfigError, match="the backend's URL can't be used") as caught:
        rabbitmq_backend.settings("amqp://us3r:s3cret@mq.example/a/b", "reports")
    assert "s3cret" not in str(caught.value)


def test_the_store_has_a_file_and_a_variable_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"{tmp_path}/store-url nor {contract.ENV_STORE_URL}"):
        backend.read_store_url(config(tmp_path, "rabbitmq", "amqp://a"))
    (tmp_path / contract.STORE_URL_FILE).write_text("redis://b\n")
    assert backend.read_store_url(config(tmp_path, "rabbitmq", "amqp://a")) == "redis://b"
