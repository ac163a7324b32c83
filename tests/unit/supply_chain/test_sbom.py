"""What an SBOM says of an image: all that its layers leave installed, and nothing that they remove."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from hack import image_contents, sbom
from hack.image_contents import Package

type Json = dict[str, Any]

RELEASE = 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="13"\n'
DPKG = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.41-12
Description: many
 lines

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.3.dfsg+really1.3.1-1+b1
"""
METADATA = """Metadata-Version: 2.4
Name: My_Library.Extra
Version: 1.2+local
License-Expression: MIT OR Apache-2.0

Text.
"""
PACKAGES = "opt/venv/lib/python3.13/site-packages"


def metadata(name: str, version: str, more: str = "") -> str:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}\nName: not-this\n"


def layout(folder: Path, *layers: dict[str, str], env: tuple[str, ...] = ()) -> Path:
    """An OCI layout of these layers: what each file holds; the second is compressed."""

    def blob(content: bytes) -> Json:
        digest = hashlib.sha256(content).hexdigest()
        (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        (folder / "blobs" / "sha256" / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    def layer(files: dict[str, str]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content.encode())
                archive.addfile(entry, io.BytesIO(content.encode()))
        return buffer.getvalue()

    blobs = [blob(gzip.compress(layer(files)) if n == 1 else layer(files)) for n, files in enumerate(layers)]
    config = blob(json.dumps({"config": {"Env": list(env)}}).encode())
    manifest = blob(json.dumps({"config": config, "layers": blobs}).encode())
    attestation = {**blob(b"{}"), "platform": {"os": "unknown"}}
    inner = blob(json.dumps({"manifests": [attestation, manifest]}).encode())
    (folder / "index.json").write_text(json.dumps({"manifests": [inner]}))
    return folder


def of(*packages: Package) -> list[Package]:
    return sorted(packages)


def test_debian_packages_and_distributions_are_named_with_their_versions(tmp_path: Path) -> None:
    base = {"./var/lib/dpkg/status": DPKG, "./usr/lib/os-release": RELEASE, "./etc/passwd": "root"}
    more = {f"{PACKAGES}/my_library_extra-1.2.dist-info/METADATA": METADATA, f"{PACKAGES}/my_library/METADATA": "no"}
    found = image_contents.read(layout(tmp_path, base, more))
    assert found.system == ("debian", "13")
    assert found.packages == of(
        Package("deb", "libc6", "2.41-12", "amd64"),
        Package("deb", "zlib1g", "1:1.3.dfsg+really1.3.1-1+b1", "amd64"),
        Package("pypi", "my-library-extra", "1.2+local", licence="MIT OR Apache-2.0", is_expression=True),
    )


def test_what_a_later_layer_removes_or_replaces_is_not_there(tmp_path: Path) -> None:
    before = {
        f"{PACKAGES}/one-1.dist-info/METADATA": metadata("one", "1"),
        f"{PACKAGES}/two-1.dist-info/METADATA": metadata("two", "1"),
        f"{PACKAGES}/three-1.dist-info/METADATA": metadata("three", "1"),
        "usr/lib/four-1.dist-info/METADATA": metadata("four", "1"),
        "var/lib/dpkg/status": DPKG,
    }
    after = {
        f"{PACKAGES}/one-2.dist-info/METADATA": metadata("one", "2"),
        f"{PACKAGES}/.wh.one-1.dist-info": "",
        f"{PACKAGES}/two-1.dist-info/.wh.METADATA": "",
        "usr/lib/.wh..wh..opq": "",
        "usr/lib/five-1.dist-info/METADATA": metadata("five", "1"),
        "var/lib/dpkg/status": "",
    }
    found = image_contents.read(layout(tmp_path, before, after)).packages
    assert [(package.name, package.version) for package in found] == [("five", "1"), ("one", "2"), ("three", "1")]


def test_an_interpreter_that_no_package_brings_is_named(tmp_path: Path) -> None:
    found = image_contents.read(layout(tmp_path, {}, env=("PATH=/usr/bin", "PYTHON_VERSION=3.13.9")))
    assert found.packages == [Package("generic", "python", "3.13.9")]


@pytest.mark.parametrize(
    ("more", "licence"),
    [
        ("Classifier: License :: OSI Approved :: MIT License\nLicense: MIT\n", "MIT License"),
        ("License: Apache 2.0\n", "Apache 2.0"),
        (f"License: {'all of the text ' * 20}\n", ""),
        ("", ""),
    ],
)
def test_a_licence_is_told_where_a_distribution_names_one(tmp_path: Path, more: str, licence: str) -> None:
    [found] = image_contents.read(layout(tmp_path, {"a.dist-info/METADATA": metadata("a", "1", more)})).packages
    assert (found.licence, found.is_expression) == (licence, False)


def test_an_image_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text('{"manifests": []}')
    with pytest.raises(ValueError, match="holds no image"):
        image_contents.read(tmp_path)


@pytest.mark.parametrize(
    ("package", "url"),
    [
        (
            Package("deb", "libstdc++6", "1:1.3+b1", "amd64"),
            "pkg:deb/debian/libstdc%2B%2B6@1%3A1.3%2Bb1?arch=amd64&distro=debian-13",
        ),
        (Package("pypi", "my-library", "1.2+local"), "pkg:pypi/my-library@1.2%2Blocal"),
        (Package("generic", "python", "3.13.9"), "pkg:generic/python@3.13.9"),
    ],
)
def test_a_package_has_a_url_that_scanners_know(package: Package, url: str) -> None:
    assert sbom.package_url(package, ("debian", "13")) == url


def test_the_document_is_cyclonedx_and_the_same_for_the_same_image(tmp_path: Path) -> None:
    contents = image_contents.read(layout(tmp_path, {"var/lib/dpkg/status": DPKG, "usr/lib/os-release": RELEASE}))
    digest = "sha256:" + "0" * 64
    found = sbom.document(contents, "pynenc-operator", "0.1.0", digest)
    assert found == sbom.document(contents, "pynenc-operator", "0.1.0", digest)
    assert (found["bomFormat"], found["specVersion"], found["version"]) == ("CycloneDX", "1.6", 1)
    image = found["metadata"]["component"]
    assert image["type"] == "container"
    assert image["purl"] == "pkg:oci/pynenc-operator@sha256%3A" + "0" * 64
    references = [component["bom-ref"] for component in found["components"]]
    assert len(set(references)) == len(references) == 2
    assert found["dependencies"] == [{"ref": image["bom-ref"], "dependsOn": references}]
    assert "purl" not in sbom.document(contents, "pynenc-operator", "0.1.0")["metadata"]["component"]
