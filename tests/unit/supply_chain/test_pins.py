"""Whatever is installed anywhere is named with its version and hashes: nothing that pip or Go fetches is left open."""

import re
from pathlib import Path

import pytest

from tests.cluster.paths import ROOT

LOCKED = sorted((ROOT / "requirements").glob("*.txt"))
DOCKERFILES = sorted(
    file
    for pattern in ("Dockerfile*", "Containerfile*")
    for file in ROOT.rglob(pattern)
    if not re.match(r"(\.venv[^/]*|build|dist)/", file.relative_to(ROOT).as_posix())
)
# A name, its version, more of it such as a marker, and hashes on lines of their own.
ENTRY = re.compile(
    r"[A-Za-z0-9][-._A-Za-z0-9]*(\[[-,._a-z0-9]+\])?==[^\s;]+( ; [^\n]+?)?( --hash=sha256:[0-9a-f]{64})+"
)
# Installs nothing from an index: what was built a line before.
OF_OUR_OWN = {"--no-index", "--no-deps"}


def entries(text: str) -> list[str]:
    """The entries of a requirements file, each in one line."""
    lines = re.sub(r" *\\\n *", " ", text).splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def commands(text: str) -> list[list[str]]:
    """The words of each command of a Dockerfile that has pip fetch, build or install something."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    steps = re.split(r"&&|\n|;", joined)
    return [step.split() for step in steps if re.search(r"\bpip3?\b.*\b(install|wheel|download)\b", step)]


def is_pinned(command: list[str]) -> bool:
    return "--require-hashes" in command or set(command) >= OF_OUR_OWN


@pytest.mark.fault("security", "every locked requirement has a version and hashes")
@pytest.mark.parametrize("file", LOCKED, ids=lambda file: file.name)
def test_each_requirement_has_a_version_and_hashes(file: Path) -> None:
    found = entries(file.read_text())
    assert found
    assert [entry for entry in found if not ENTRY.fullmatch(entry)] == []


def test_each_list_of_requirements_is_locked() -> None:
    assert {file.stem for file in (ROOT / "requirements").glob("*.in")} == {file.stem for file in LOCKED}


@pytest.mark.fault("security", "every pip of every image checks hashes")
@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_an_image_installs_has_its_hashes_checked(file: Path) -> None:
    text = file.read_text()
    found = commands(text)
    assert [command for command in found if not is_pinned(command)] == []
    assert not re.search(r"^\s*ADD\s+\S*://|curl |wget |git clone|apk add|npm ", text, re.MULTILINE)
    assert found or "pip" not in re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)


def test_both_images_install_by_pip() -> None:
    """Else the check of each would find nothing to check."""
    for image in ("operator", "worker-image"):
        assert len(commands((ROOT / image / "Dockerfile").read_text())) >= 3


@pytest.mark.parametrize(
    ("line", "pinned"),
    [
        ("RUN pip install --require-hashes -r a.txt", True),
        ("RUN /opt/venv/bin/pip install a", False),
        ("RUN true && /opt/venv/bin/pip install --no-deps --no-index /dist/*.whl", True),
        ("RUN pip install --no-deps /dist/a.whl", False),
        ("RUN /opt/build/bin/pip --python /opt/venv/bin/python \\\n    install a", False),
        ("RUN python -m pip download a", False),
    ],
)
def test_a_pip_without_hashes_is_found(line: str, pinned: bool) -> None:  # noqa: FBT001
    [command] = commands(line)
    assert is_pinned(command) is pinned


@pytest.mark.parametrize(
    "entry",
    ["a", "a==1", "a>=1 --hash=sha256:" + "0" * 64, "a @ https://example.org/a.whl", "-e .", "a==1 --hash=md5:0"],
)
def test_an_entry_without_a_hash_is_found(entry: str) -> None:
    assert not ENTRY.fullmatch(entry)


def test_what_the_bootstrap_installs_has_its_hashes_checked() -> None:
    text = (ROOT / "hack" / "bootstrap.py").read_text()
    calls = [call.partition("\n    )")[0].partition("])")[0] for call in re.split(r"\brun\(", text)]
    installs = [call for call in calls if re.search(r'"(install|sync)"', call) and "apt-get" not in call]
    assert len(installs) == 3
    for call in installs:
        # The project itself is installed from where it stands, and brings nothing with it.
        assert "--require-hashes" in call or {"--no-deps", "--no-build-isolation"} <= set(
            re.findall(r"--[-a-z]+", call)
        )


@pytest.mark.fault("security", "every Go module that the cluster's programs are built of has a checksum")
def test_each_go_module_has_checksums() -> None:
    modules = sorted((ROOT / "tests").rglob("go.mod"))
    assert modules
    needy = [module for module in modules if re.search(r"^require\b", module.read_text(), re.MULTILINE)]
    assert len(needy) >= 5
    assert [str(module) for module in needy if not module.with_name("go.sum").exists()] == []
