"""docs/security.md grants what the chart does, verb by verb."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
TEMPLATES = ROOT / "charts" / "pynenc-operator" / "templates"

type Right = tuple[str, str, str, bool]  # group, resource, verb, whether by name


def told(heading: str) -> set[Right]:
    """The rows of the tables of rights below a heading."""
    section = PAGE[PAGE.index(f"## {heading}\n") :].split("\n## ", 2)[0]
    rights: set[Right] = set()
    for row in re.findall(r"^\| (`[\w.]+`|core) \| `([\w/]+)`([^|]*) \| ([^|]*) \| [^|]+\|$", section, re.MULTILINE):
        group, resource, only, verbs = row
        name = "" if group == "core" else group.strip("`")
        rights |= {(name, resource, verb, "only" in only) for verb in re.findall(r"`(\w+)`", verbs)}
    return rights


def granted(template: str) -> set[Right]:
    """The rules that stand in a template."""
    text = re.sub(r"\{\{.*?\}\}", "a-name", (TEMPLATES / template).read_text(), flags=re.DOTALL)
    found: set[Right] = set()
    for block in re.findall(r"^ *- apiGroups: .*\n(?: +\w.*\n)+", text, re.MULTILINE):
        rules: list[dict[str, Any]] = yaml.safe_load(block)
        for rule in rules:
            [group], [resource] = rule["apiGroups"], rule["resources"]
            found |= {(group, resource, verb, "resourceNames" in rule) for verb in rule["verbs"]}
    return found


def test_the_operators_rights() -> None:
    rights = granted("_helpers.tpl") | granted("rbac-lease.yaml")
    assert len(rights) > 15
    assert told("What the operator may do") == rights


def test_the_workers_rights() -> None:
    rights = granted("workers-clusterrole.yaml")
    assert len(rights) == 2
    assert told("What a worker may do") == rights
