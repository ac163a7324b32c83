"""Write a software bill of materials of each image, as CycloneDX 1.6 JSON, into dist/.

    python -m hack.sbom               of the operator's and the worker's image, which are built if they have changed
    python -m hack.sbom FILE.tar...   of other images, saved by `docker save` or `skopeo copy ... oci-archive:FILE.tar`

It names every Debian package and every Python distribution of the image with its version, and nothing is run of it.
The same image gives the same text.
"""

import argparse
import json
import sys
import tarfile
import tempfile
import tomllib
import uuid
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from hack import image_contents
from hack.image_contents import Contents, Package
from tests.cluster import buildah, images
from tests.cluster.console import ClusterError, say
from tests.cluster.paths import ROOT, cache

type Json = dict[str, Any]

DIST = ROOT / "dist"
DESCRIBED = (images.OPERATOR, images.WORKER)
_NAMESPACE: Final = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # of URLs, as RFC 9562 has it


def document(contents: Contents, name: str, version: str = "", digest: str = "") -> Json:
    """The bill of materials of an image; `digest` is the one in a registry, where it has one."""
    reference = f"pkg:oci/{name}@{quote(digest, safe='')}" if digest else contents.image_id
    image: Json = {"type": "container", "bom-ref": reference, "name": name}
    if version:
        image["version"] = version
    image["properties"] = [{"name": "oci:image:id", "value": contents.image_id}]
    if digest:
        image["purl"] = reference
    components = [_component(package, contents.system) for package in contents.packages]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, reference)}",
        "version": 1,
        "metadata": {"component": image, "tools": {"components": [{"type": "application", "name": "hack/sbom.py"}]}},
        "components": components,
        "dependencies": [{"ref": reference, "dependsOn": [component["bom-ref"] for component in components]}],
    }


def _component(package: Package, system: tuple[str, str]) -> Json:
    url = package_url(package, system)
    found: Json = {
        "type": "library",
        "bom-ref": url,
        "name": package.name,
        "version": package.version,
        "purl": url,
    }
    if package.licence:
        known = {"expression": package.licence} if package.is_expression else {"license": {"name": package.licence}}
        found["licenses"] = [known]
    return found


def package_url(package: Package, system: tuple[str, str]) -> str:
    """A package by its purl, as scanners for known faults look it up."""
    release, number = system
    place = f"{release}/" if package.kind == "deb" else ""
    more = f"?arch={package.architecture}&distro={release}-{number}" if package.kind == "deb" else ""
    return f"pkg:{package.kind}/{place}{quote(package.name, safe='')}@{quote(package.version, safe='')}{more}"


def of_built(number: str) -> Contents:
    """What is in an image of the local builds, by its id."""
    with tempfile.TemporaryDirectory(dir=cache() / "images", prefix="partial-") as folder:
        line = ("push", "--disable-compression", number, f"oci:{folder}:image")
        buildah.call(*line, timeout=buildah.IMAGE_STORE_TIMEOUT)
        return image_contents.read(Path(folder))


def of_archive(file: Path) -> Contents:
    """What is in the image of an archive."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(file) as archive:
        archive.extractall(folder, filter="data")
        return image_contents.read(Path(folder))


def write(contents: Contents, name: str, version: str = "", digest: str = "") -> Path:
    """Write the document of an image into dist/; its path."""
    DIST.mkdir(exist_ok=True)
    file = DIST / ("-".join(filter(None, (name, version))) + ".cdx.json")
    found = document(contents, name, version, digest)
    file.write_text(json.dumps(found, indent=2) + "\n")
    say(f"wrote {file.relative_to(ROOT)}: {len(found['components'])} packages")
    return file


def main() -> int:
    """Write a document for each image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="*", type=Path, metavar="FILE.tar", help="images; absent: the project's own")
    archives = parser.parse_args().archives
    try:
        for file in archives:
            write(of_archive(file), file.stem)
        if not archives:
            version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
            for image, number in images.build(DESCRIBED).items():
                write(of_built(number), image.repository, version)
    except (ClusterError, OSError, ValueError, tarfile.TarError) as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
