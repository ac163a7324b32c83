"""What an image is made of, as one digest: buildah too knows an unchanged image, but reads all of it for it."""

import hashlib
import json
import re
from pathlib import Path

from tests.cluster.paths import cache


def digest(dockerfile: Path, context: Path, *more: str) -> str | None:
    """A digest of the Dockerfile, of the files that it copies from the context, and of `more` that goes in.

    None if the Dockerfile takes files in a way that is not understood here; then only buildah can tell.
    """
    text = dockerfile.read_text().replace("\\\n", " ")
    if re.search(r"^\s*ADD\s|type=bind", text, re.MULTILINE):
        return None
    ignored = context / ".dockerignore"
    found = hashlib.sha256("\0".join([text, ignored.read_text() if ignored.exists() else "", *more]).encode())
    for copied in re.findall(r"^\s*COPY\s+(.*)$", text, re.MULTILINE):
        words = copied.split()
        if any(word.startswith("--from=") for word in words):
            continue
        sources = [word for word in words if not word.startswith("--")][:-1]
        if not sources or any(character in word for word in sources for character in "*?[$"):
            return None
        for source in sources:
            for file in _files(context / source):
                found.update(f"\0{file.relative_to(context)}\0{file.stat().st_mode:o}\0".encode())
                found.update(file.read_bytes())
    return found.hexdigest()


def _files(path: Path) -> list[Path]:
    """A file, or those below a folder, without what `.dockerignore` leaves out everywhere."""
    if path.is_file():
        return [path]
    return sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def is_built(name: str, inputs: str | None, number: str | None) -> bool:
    """Whether the image `name` with this id was built from these inputs."""
    return None not in (inputs, number) and _built().get(name) == [inputs, number]


def note_built(name: str, inputs: str | None, number: str) -> None:
    """Remember what an image was built from."""
    file = _record()
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(_built() | {name: [inputs, number]}))
    partial.rename(file)


def _built() -> dict[str, list[str | None]]:
    try:
        built: dict[str, list[str | None]] = json.loads(_record().read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return built


def _record() -> Path:
    return cache() / "images" / "built.json"
