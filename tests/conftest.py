"""What holds for all tests: a machine that has other things to do as well makes no test fail."""

from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests import outcomes

settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    outcomes.record(item, report)
    return report
