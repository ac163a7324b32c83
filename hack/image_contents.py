"""What is installed in an image: Debian's packages and Python distributions, read from its layers.

An image is an OCI layout in a folder, as `buildah push IMAGE oci:FOLDER` writes it. No part of the image is run.
"""

import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Any, Final

type Json = dict[str, Any]

_DPKG: Final = "var/lib/dpkg/status"
_RELEASE: Final = "usr/lib/os-release"
_WANTED: Final = re.compile(rf"{_DPKG}|{_DPKG}\.d/[^/]+|{_RELEASE}|.*\.dist-info/METADATA")
_GONE: Final = ".wh."  # how a layer says that a file of an earlier one is gone
_ALL_GONE: Final = ".wh..wh..opq"  # and all that an earlier one has in a folder
_LONGEST_NAME: Final = 60  # characters of a licence
_LICENCE: Final = "License :: OSI Approved :: "


@dataclass(frozen=True, order=True)
class Package:
    """One installed package. `kind` is its type in a package URL: deb, pypi or generic."""

    kind: str
    name: str
    version: str
    architecture: str = ""
    licence: str = ""  # an SPDX expression, or a name
    is_expression: bool = False


@dataclass(frozen=True)
class Contents:
    """What an image holds; `system` is the ID and VERSION_ID of its os-release."""

    image_id: str
    system: tuple[str, str]
    packages: list[Package]


def read(layout: Path) -> Contents:
    """What is in the image of an OCI layout."""
    manifest = _manifest(layout, json.loads((layout / "index.json").read_text()))
    image_id = manifest["config"]["digest"]
    variables = dict(entry.split("=", 1) for entry in _json(layout, image_id).get("config", {}).get("Env", ()))
    files: dict[str, bytes] = {}
    for layer in manifest["layers"]:
        _apply(_blob(layout, layer["digest"]), files)
    packages = {package for path, content in files.items() for package in _packages(path, content.decode())}
    # Images of docker.io/library/python bring an interpreter that no package manager knows.
    if version := variables.get("PYTHON_VERSION"):
        packages.add(Package("generic", "python", version))
    release = dict(line.split("=", 1) for line in files.get(_RELEASE, b"").decode().splitlines() if "=" in line)
    system = (release.get("ID", "").strip('"'), release.get("VERSION_ID", "").strip('"'))
    return Contents(image_id, system, sorted(packages))


def _manifest(layout: Path, index: Json) -> Json:
    """The first image of an index, or of one inside it; one of no platform holds no image but what is told of one."""
    for entry in index["manifests"]:
        if entry.get("platform", {}).get("os") == "unknown":
            continue
        found = _json(layout, entry["digest"])
        return _manifest(layout, found) if "manifests" in found else found
    raise ValueError(f"{layout} holds no image")


def _apply(layer: Path, files: dict[str, bytes]) -> None:
    """Take a layer's part of the wanted files in, and out what it removes of earlier ones."""
    found: dict[str, bytes] = {}
    with tarfile.open(layer) as archive:
        for entry in archive:
            path = entry.name.removeprefix("./").strip("/")
            folder, _, name = path.rpartition("/")
            if name == _ALL_GONE:
                _remove(files, folder)
            elif name.startswith(_GONE):
                _remove(files, f"{folder}/{name.removeprefix(_GONE)}".strip("/"))
            elif not entry.isdir():
                _remove(files, path)
                if _WANTED.fullmatch(path) and (content := archive.extractfile(entry)):
                    found[path] = content.read()
    files.update(found)


def _remove(files: dict[str, bytes], path: str) -> None:
    for known in [known for known in files if known == path or known.startswith(f"{path}/")]:
        del files[known]


def _packages(path: str, content: str) -> Iterator[Package]:
    if path.endswith("METADATA"):
        yield _distribution(content)
    elif path.startswith(_DPKG):
        for paragraph in re.split(r"\n\n+", content.strip()):
            told = HeaderParser().parsestr(paragraph)
            if "Package" in told and ("Status" not in told or told["Status"].split()[-1] == "installed"):
                yield Package("deb", told["Package"], told["Version"], told["Architecture"])


def _distribution(metadata: str) -> Package:
    told = HeaderParser().parsestr(metadata)
    expression = told.get("License-Expression", "")
    names = [each.removeprefix(_LICENCE) for each in told.get_all("Classifier", []) if each.startswith(_LICENCE)]
    stated = told.get("License", "")
    if not names and 0 < len(stated) <= _LONGEST_NAME:  # some have the whole text there
        names = [stated]
    name = re.sub(r"[-_.]+", "-", told["Name"]).lower()
    return Package(
        "pypi", name, told["Version"], licence=expression or ", ".join(sorted(names)), is_expression=bool(expression)
    )


def _json(layout: Path, digest: str) -> Json:
    found: Json = json.loads(_blob(layout, digest).read_text())
    return found


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/", 1)
