"""What is installed in the operator's and a worker's pod, as they say themselves, stands in the SBOM of their image."""

import re
from typing import Any

import pytest

from hack import sbom
from tests.cluster import buildah, images
from tests.e2e.kubernetes import kubectl
from tests.e2e.pool import Pool
from tests.e2e.release import OPERATOR

type Json = dict[str, Any]

DISTRIBUTIONS = "from importlib.metadata import distributions as d; [print('pypi', x.name, x.version) for x in d()]"
PACKAGES = ("dpkg-query", "-W", "-f", "deb ${Package} ${Version}\n")


def installed(namespace: str, pod: str) -> set[tuple[str, str, str]]:
    """(kind, name, version) of all that a pod's own tools know of."""
    inside = ("exec", pod, "-n", namespace, "--")
    lines = kubectl(*inside, "/opt/venv/bin/python", "-c", DISTRIBUTIONS) + kubectl(*inside, *PACKAGES)
    entries = [line.split() for line in lines.splitlines()]
    return {(kind, re.sub(r"[-_.]+", "-", name).lower() if kind == "pypi" else name, v) for kind, name, v in entries}


def described(image: images.Image) -> set[tuple[str, str, str]]:
    """The same as the image's document has it."""
    number = buildah.image_id(image.name)
    assert number
    found = sbom.document(sbom.of_built(number), image.repository, "dev")
    components: list[Json] = found["components"]
    return {(each["purl"].partition(":")[2].partition("/")[0], each["name"], each["version"]) for each in components}


@pytest.mark.fault("security", "the SBOM of each image, against what its pods have installed")
def test_the_document_of_each_image_names_just_what_its_pods_have(pool: Pool) -> None:
    pool.apply(minReplicas=1)
    pool.until_states("idle")
    [operator] = OPERATOR.pods().values()
    for image, where in (
        (images.OPERATOR, (OPERATOR.namespace, operator["metadata"]["name"])),
        (images.WORKER, (pool.namespace, "reports-0")),
    ):
        inside = installed(*where)
        assert {kind for kind, _, _ in inside} == {"deb", "pypi"}
        assert described(image) == inside
