"""The chart with the project's images on the real cluster; each test gets a namespace with a runner of its own."""

import itertools
import subprocess
from collections.abc import Iterator

import pytest

from tests.cluster.paths import ROOT
from tests.e2e.pool import Pool

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
    command = [
        "helm", "upgrade", "--install", "pynenc-operator", str(ROOT / "charts" / "pynenc-operator"),
        "--namespace", "pynenc-system", "--create-namespace", "--wait", "--timeout", "120s",
        "--set", "image.repository=localhost/pynenc-operator", "--set", "image.tag=dev",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def pool(operator: None, request: pytest.FixtureRequest) -> Iterator[Pool]:  # noqa: ARG001
    made = Pool(f"e2e-{next(_numbers)}")
    made.create()
    yield made
    if request.node.stash.get(_FAILED, False):
        print(made.diagnosis())
    made.delete()
