"""docs/quickstart.md on the real cluster, from an OCI registry that holds what `make chart` publishes.

Without docker, which is not to be had: its images are built by buildah, and its tags checked.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from hack.publish import Published, publish
from hack.sbom import DIST
from tests import documents
from tests.cluster import images, registry
from tests.cluster.paths import ROOT, ClusterPaths
from tests.e2e.kubernetes import get, kubectl, read, run, wait_until
from tests.e2e.pool import local_redis
from tests.e2e.release import OPERATOR

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PAGE = (ROOT / "docs" / "quickstart.md").read_text()
NAMESPACE = "reports"
TASKS = 40  # of each run of the page's producer


@pytest.fixture(scope="module")
def published() -> Published:
    """The chart and the three images of the page, in a registry that the node pulls from."""
    registry.ensure(ClusterPaths.current())
    found = publish(registry.ADDRESS)
    images.push_image(images.build((images.DEMO,))[images.DEMO], f"{registry.ADDRESS}/{NAMESPACE}:1")
    return found


@pytest.fixture
def _no_namespaces() -> Iterator[None]:
    remove = ("delete", "namespace", NAMESPACE, OPERATOR.namespace, "--ignore-not-found")
    kubectl(*remove)
    yield
    kubectl("delete", "mtr", "--all", "-n", NAMESPACE, "--ignore-not-found")
    kubectl(*remove)


def blocks(language: str) -> list[str]:
    return [block.replace("registry.example/team", registry.ADDRESS) for block in documents.blocks(PAGE, language)]


class Reader:
    """Follows the page: its files in a folder, its commands in its order."""

    def __init__(self, folder: Path) -> None:
        for name, kind in (("runner.yaml", "MultiThreadRunner"), ("producer.yaml", "Job")):
            [manifest] = [block for block in blocks("yaml") if f"kind: {kind}\n" in block]
            (folder / name).write_text(manifest)
        (folder / "redis.yaml").write_text(local_redis())
        self._files = {f"-f {name}": f"-f {folder / name}" for name in ("runner.yaml", "producer.yaml")}
        self._files["examples/redis.yaml"] = str(folder / "redis.yaml")
        self._blocks = [block for block in blocks("sh") if "create secret docker-registry" not in block]

    def next(self, *but: str) -> str:
        """Run the next block, without lines that need docker, never end, or hold one of `but`; what it prints."""
        lines = self._blocks.pop(0).replace("\\\n", " ").splitlines()
        left_out = ("docker ", "--watch", *but)
        kept = "\n".join(line for line in lines if not any(text in line for text in left_out))
        for there, here in self._files.items():
            kept = kept.replace(there, here)
        return run("bash", "-euo", "pipefail", "-c", f"cd '{ROOT}'; REGISTRY={registry.ADDRESS}\n{kept}", timeout=300)

    @property
    def done(self) -> bool:
        return not self._blocks


def executions() -> Counter[str]:
    """How often each task of the example has begun."""
    with Redis(host=f"redis.{NAMESPACE}.svc", socket_timeout=10) as redis:
        return Counter(redis.lrange("demo:executions", 0, -1))


def active() -> list[str]:
    pods = read(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=pynenc.org%2Frunner%3Dreports")["items"]
    states = {pod["metadata"]["name"]: pod["metadata"].get("annotations", {}) for pod in pods}
    return [name for name, notes in states.items() if notes.get("pynenc.org/worker-state") == "active"]


def until_done(tasks: int) -> None:
    """Wait until so many tasks have run, the producer has ended, and the pool is back at zero."""
    kubectl("wait", "job/producer", "-n", NAMESPACE, "--for=condition=complete", "--timeout=100s")
    wait_until(lambda: executions().total() >= tasks, f"{tasks} tasks have begun")
    wait_until(lambda: get("mtr", "reports", "-n", NAMESPACE)["status"].get("replicas") == 0, "the pool is at zero")
    assert executions().total() == tasks


def test_a_reader_of_the_quickstart_gets_what_it_promises(
    published: Published,
    _no_namespaces: None,  # noqa: PT019 - the page makes them itself
    tmp_path: Path,
) -> None:
    tags = re.findall(r"docker push \"\$REGISTRY/(.+)\"", PAGE)
    assert tags == [f"pynenc-operator:{published.version}", f"pynenc-worker:{published.version}", f"{NAMESPACE}:1"]
    reader = Reader(tmp_path)
    reader.next()  # namespaces
    reader.next()  # images
    assert "/readyz: ok" in reader.next()  # the operator
    reader.next()  # Redis
    assert re.search(r"^reports +0 +10 +0 .* True +AtZero", reader.next(), re.MULTILINE)  # the runner
    reader.next()  # work
    wait_until(lambda: len(active()) > 4, "many pods work")
    assert "QueueDepth" in reader.next()  # the events of `describe`
    until_done(TASKS)
    reader.next()  # a pin, a pause
    reader.next("delete pod reports-0")  # the producer once more
    wait_until(active, "a pod works")
    kubectl("delete", "pod", active()[0], "-n", NAMESPACE, "--wait=false")
    until_done(2 * TASKS)
    reader.next()  # away with it
    assert reader.done
    assert not get("namespaces", "--field-selector", f"metadata.name={NAMESPACE}")["items"]


def test_the_published_chart_runs_the_published_image_by_its_digest(published: Published) -> None:
    assert (DIST / f"pynenc-operator-{published.version}.tgz").exists()
    reference = f"{registry.ADDRESS}/pynenc-operator@{published.digests[images.OPERATOR]}"
    OPERATOR.install(
        f"image.repository={registry.ADDRESS}/pynenc-operator",
        f"image.digest={published.digests[images.OPERATOR]}",
        chart=published.chart,
        flags=("--plain-http", f"--version={published.version}"),
    )
    [pod] = OPERATOR.pods().values()
    assert pod["spec"]["containers"][0]["image"] == reference
    wait_until(lambda: OPERATOR.leader() == pod["metadata"]["name"], "it leads")
