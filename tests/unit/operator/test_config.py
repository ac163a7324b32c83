"""The operator's settings."""

import pytest

from pynenc_operator.config import ConfigError, OperatorConfig

GIVEN = {
    "PYNENC_OPERATOR_LEASE_NAMESPACE": "pynenc-system",
    "PYNENC_OPERATOR_WORKER_CLUSTER_ROLE": "workers",
    "POD_NAME": "operator-0",
}


def test_what_is_not_set_has_a_default() -> None:
    config = OperatorConfig.from_environment(GIVEN)
    assert (config.watch_namespaces, config.port, config.identity) == ((), 8080, "operator-0")
    assert not config.allow_local_backends


def test_namespaces_are_a_list_with_commas() -> None:
    config = OperatorConfig.from_environment({**GIVEN, "PYNENC_OPERATOR_WATCH_NAMESPACES": "shop, billing,"})
    assert config.watch_namespaces == ("shop", "billing")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEASE_NAMESPACE", ""),
        ("WORKER_CLUSTER_ROLE", ""),
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("LOG_LEVEL", "LOUD"),
        ("ALLOW_LOCAL_BACKENDS", "yes"),
        ("RELAXED_X509", "1"),
        ("WATCH_NAMESPACE", "shop"),
    ],
)
def test_an_error_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"PYNENC_OPERATOR_{name}"):
        OperatorConfig.from_environment({**GIVEN, f"PYNENC_OPERATOR_{name}": value})
