"""The environment of a worker: what is missing or wrong is named, what is secret is not."""

from pathlib import Path

import pytest

from pynenc_worker import contract
from pynenc_worker.config import ConfigError, WorkerConfig

COMPLETE = {
    contract.ENV_APP: "reports.tasks",
    contract.ENV_BACKEND: "redis",
    contract.ENV_DRAIN_TIMEOUT: "3600",
    contract.ENV_POD_NAMESPACE: "team",
    contract.ENV_POD_NAME: "reports-0",
    contract.ENV_POD_UID: "11111111-2222",
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
}


def test_what_the_operator_writes_is_enough() -> None:
    config = WorkerConfig.from_environ(COMPLETE)
    assert (config.app, config.drain_timeout) == ("reports.tasks", 3600)
    assert (config.api.host, config.api.port, config.api.tls_strict) == ("10.96.0.1", 443, True)
    assert config.metrics_port == contract.METRICS_PORT
    assert config.podinfo_dir == Path(contract.PODINFO_DIR)


@pytest.mark.parametrize("name", sorted(COMPLETE))
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} is not set: it has to be ."):
        WorkerConfig.from_environ({key: value for key, value in COMPLETE.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (contract.ENV_DRAIN_TIMEOUT, "0"),
        (contract.ENV_DRAIN_TIMEOUT, "soon"),
        (contract.ENV_METRICS_PORT, "65536"),
        ("KUBERNETES_SERVICE_PORT", "-1"),
        ("PYNENC_WORKER_TLS_STRICT", "no"),
    ],
)
def test_a_wrong_value_is_named_but_not_shown(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} has to be ") as caught:
        WorkerConfig.from_environ({**COMPLETE, name: value})
    assert "soon" not in str(caught.value)
