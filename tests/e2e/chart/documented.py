"""The commands of the chart's documents, run as they stand there; only the names are other ones."""

import re
from collections.abc import Mapping

from tests.cluster.paths import ROOT
from tests.e2e.kubernetes import run

UPGRADING = (ROOT / "charts" / "pynenc-operator" / "UPGRADING.md").read_text()
_CALLED = ("kubectl ", "helm ")


def commands(section: str) -> list[str]:
    """The blocks of a section of UPGRADING.md that call kubectl or helm, in order."""
    found = re.search(rf"^## {re.escape(section)}\n(.+?)(?=^## |\Z)", UPGRADING, re.MULTILINE | re.DOTALL)
    assert found, f"UPGRADING.md has no section {section!r}"
    blocks = re.findall(r"(?:^    .*\n)+", found[1], re.MULTILINE)
    texts = [re.sub("^    ", "", block, flags=re.MULTILINE) for block in blocks]
    return [text for text in texts if text.startswith(_CALLED)]


def follow(command: str, names: Mapping[str, str] | None = None, *, more: str = "") -> str:
    """Run a block at the repository's root, with other names and more flags at its end; what it prints."""
    for there, here in (names or {}).items():
        assert there in command, f"{there} does not stand in: {command}"
        command = command.replace(there, here)
    return run("bash", "-euo", "pipefail", "-c", f"cd '{ROOT}'\n{command.rstrip()} {more}")
