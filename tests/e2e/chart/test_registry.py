"""The chart and its images from an OCI registry, as `make chart` publishes them: pulled by digest, installed by oci://."""

from hack.publish import DIST, publish
from tests.cluster import images, registry
from tests.cluster.paths import ClusterPaths
from tests.e2e.pool import Pool
from tests.e2e.release import OPERATOR


def test_what_is_published_can_be_installed_and_is_pinned_by_digest() -> None:
    registry.ensure(ClusterPaths.current())
    found = publish(registry.ADDRESS)
    assert (DIST / f"pynenc-operator-{found.version}.tgz").exists()
    digest = found.digests[images.OPERATOR]
    OPERATOR.install(
        f"image.repository={registry.ADDRESS}/pynenc-operator",
        f"image.digest={digest}",
        chart=found.chart,
        flags=("--plain-http", f"--version={found.version}"),
    )
    [pod] = OPERATOR.pods().values()
    [status] = pod["status"]["containerStatuses"]
    assert status["image"] == f"{registry.ADDRESS}/pynenc-operator@{digest}" or digest in status["imageID"]
    assert pod["spec"]["containers"][0]["image"] == f"{registry.ADDRESS}/pynenc-operator@{digest}"

    pool = Pool("published")
    try:
        pool.apply()
        pool.enqueue(("short", 0.5, "task"))
        pool.until_succeeded()
        pool.until_gone()
    finally:
        pool.close()
