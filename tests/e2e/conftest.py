"""The chart with the project's images on the real cluster; each test gets a namespace with a runner of its own."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.e2e import audit, observed
from tests.e2e.kubernetes import kubectl
from tests.e2e.pool import Pool, clear
from tests.e2e.release import OPERATOR
from tests.e2e.together import Together, chosen, is_story
from tests.outcomes import OUTCOME, has_failed


class MakePool(Protocol):
    def __call__(self, redis_url: str = "") -> Pool: ...


HERE = Path(__file__).parent
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def operator() -> None:
    """The operator, installed by Helm from the chart."""
    audit.mark()
    observed.begin()
    # Of an earlier release; the next one makes its own, which belongs to what a whole run asks for.
    kubectl("delete", "lease", OPERATOR.name, "-n", OPERATOR.namespace, "--ignore-not-found")
    OPERATOR.install()
    clear()


def new_pool(redis_url: str = "") -> Pool:
    return Pool(new_name(), redis_url)


def new_name() -> str:
    """What tells a pool from others of this run."""
    return str(next(_numbers))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let stories that run side by side go before all that needs the cluster for itself."""
    items.sort(key=lambda item: not is_story(item))


@pytest.fixture(scope="session")
def together(operator: None, request: pytest.FixtureRequest) -> Together:  # noqa: ARG001
    """Runs the chosen stories side by side."""
    stories = chosen(request.session, HERE, HERE / "faults")
    return Together({test.nodeid: (new_pool, story) for test, story in stories})


@pytest.fixture
def make_pool(operator: None, request: pytest.FixtureRequest) -> Iterator[MakePool]:  # noqa: ARG001
    """Makes a namespace, with a Redis unless the URL of one is given; what is there when the test fails is printed."""
    with ExitStack() as stack:

        def make(redis_url: str = "") -> Pool:
            pool = new_pool(redis_url)
            stack.callback(pool.close)
            stack.callback(end, pool)
            return pool

        def end(pool: Pool) -> None:
            request.node.user_properties.append((OUTCOME, pool.outcome))
            if has_failed(request.node):
                print(f"=== {pool.namespace}\n{pool.diagnosis()}")

        yield make


@pytest.fixture
def pool(make_pool: MakePool) -> Pool:
    return make_pool()
