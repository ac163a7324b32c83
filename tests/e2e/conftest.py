"""The chart with the project's images on the real cluster; each test gets a namespace with a runner of its own."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.e2e import release
from tests.e2e.pool import Pool, clear

type MakePool = Callable[[], Pool]

_numbers = itertools.count(1)
_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],  # noqa: ARG001
) -> Iterator[None]:
    report = yield
    if report.when == "call":  # type: ignore[attr-defined]
        item.stash[_FAILED] = report.failed  # type: ignore[attr-defined]
    return report


@pytest.fixture(scope="session")
def operator() -> None:
    """The operator, installed by Helm from the chart."""
    release.install()
    clear()


@pytest.fixture
def make_pool(operator: None, request: pytest.FixtureRequest) -> Iterator[MakePool]:  # noqa: ARG001
    """Makes a namespace with a Redis; what is there when the test fails is printed."""
    with ExitStack() as stack:

        def make() -> Pool:
            pool = Pool(str(next(_numbers)))
            stack.callback(pool.close)
            stack.callback(tell_if_failed, pool)
            return pool

        def tell_if_failed(pool: Pool) -> None:
            if request.node.stash.get(_FAILED, False):
                print(f"=== {pool.namespace}\n{pool.diagnosis()}")

        yield make


@pytest.fixture
def pool(make_pool: MakePool) -> Pool:
    return make_pool()
