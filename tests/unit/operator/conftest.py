"""What tests of the operator's modules have in common."""

import pytest

from tests.unit.operator.builders import Time


@pytest.fixture
def time() -> Time:
    return Time()
