"""The documents' links lead to files, and to headings, that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The chart's pages are packaged with it: what is not beside them there they name by its address.
HOME = "https://github.com/pynenc/pynenc-operator/blob/main/"
CHART = ROOT / "charts" / "pynenc-operator"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(CHART.glob("*.md"))]
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub makes anchors of them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    found = []
    for link in LINK.findall(re.sub(r"`[^`\n]*`", "`", page.read_text())):  # nothing in code is a link
        if re.match(r"\w+:", link) and not link.startswith(HOME):
            continue  # somewhere else
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if name.startswith(HOME):
            target = ROOT / name.removeprefix(HOME)
        elif page.parent == CHART and target.parent != CHART:
            target = CHART / "not packaged"
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_is_broken(page: Path) -> None:
    assert broken(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b`, c\n[good](#a-b-c) [good](page.md) [bad](#a) [bad](none.md) [out](https://pynenc.org)\n")
    assert broken(page) == ["#a", "none.md"]
