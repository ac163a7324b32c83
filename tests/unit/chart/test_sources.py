"""What the chart repeats of other parts of the project is the same there."""

import ast
import re
from pathlib import Path

import yaml

from pynenc_worker import contract

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "pynenc-operator"
CRD = ROOT / "crds" / "multithreadrunners.pynenc.org.yaml"


def policy() -> str:
    return (CHART / "templates" / "workers-admissionpolicy.yaml").read_text()


def test_the_charts_definition_has_the_schema_of_crds_to_the_letter() -> None:
    def spec(text: str) -> str:
        return text[text.index("\nspec:\n") :]

    copy = (CHART / "templates" / "crd-multithreadrunners.yaml").read_text()
    assert spec(copy) == spec(CRD.read_text()) + "{{- end }}\n"
    assert "{{" not in spec(CRD.read_text())  # or Helm would take it for its own


def test_the_policy_allows_the_annotations_of_the_contract() -> None:
    listed = re.search(r"- name: report\n\s+expression: >-\n(\s+\[.*?\])\n", policy(), re.DOTALL)
    assert listed
    keys = ast.literal_eval(listed[1].strip())  # CEL writes a list of strings as Python does
    assert tuple(keys) == contract.WORKER_WRITES


def test_the_policy_gives_only_recovered_runners_more_room() -> None:
    assert f"(key == '{contract.RECOVERED_RUNNERS}' ? 1024 : 64)" in policy()


def test_the_policy_names_no_other_annotation_of_ours() -> None:
    named = set(re.findall(r"'(pynenc\.org/[a-z-]+)'", policy()))
    assert named == {key for key in contract.WORKER_WRITES if key.startswith(contract.PREFIX)}


def test_the_charts_version_is_the_projects() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert project
    assert chart["appVersion"] == project[1]
