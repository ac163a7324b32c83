"""The operator with the volume of SQLite backends, and the chosen stories of each backend side by side."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.backends import sharedvolume
from tests.e2e.backends.backendpool import BackendPool
from tests.e2e.backends.served import Backend
from tests.e2e.conftest import new_name
from tests.e2e.release import OPERATOR
from tests.e2e.together import Together, chosen

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def operator_with_volume(operator: None) -> Iterator[None]:  # noqa: ARG001
    """The operator of all tests, with a claim for the time of these."""
    with sharedvolume.claimed(OPERATOR.namespace):
        OPERATOR.install(f"sqlite.existingClaim={sharedvolume.CLAIM}")
        yield
        OPERATOR.install()


@pytest.fixture(scope="session")
def together(
    operator_with_volume: None,  # noqa: ARG001
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Together]:
    """Runs the chosen stories of this folder, each on the backend that is its parameter."""
    at_the_end = ExitStack()

    def make_pool(test: pytest.Function) -> partial[BackendPool]:
        backend = test.callspec.params["backend"]
        assert isinstance(backend, Backend)
        return partial(BackendPool, new_name(), backend, tmp_path_factory.mktemp(backend.name), at_the_end)

    with at_the_end:
        yield Together({test.nodeid: (make_pool(test), story) for test, story in chosen(request.session, HERE)})
