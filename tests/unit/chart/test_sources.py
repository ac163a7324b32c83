"""What the chart repeats of other parts of the project is the same there."""

import ast
import re
from pathlib import Path
from typing import Any

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


def chart_yaml() -> dict[str, Any]:
    chart: dict[str, Any] = yaml.safe_load((CHART / "Chart.yaml").read_text())
    return chart


def annotation(name: str) -> Any:
    """What the chart says of itself to Artifact Hub."""
    return yaml.safe_load(chart_yaml()["annotations"][f"artifacthub.io/{name}"])


def test_artifact_hub_is_told_of_the_definition() -> None:
    definition = yaml.load(CRD.read_text(), yaml.CSafeLoader)
    [told] = annotation("crds")
    assert told["name"] == definition["metadata"]["name"]
    assert told["kind"] == definition["spec"]["names"]["kind"]
    assert [told["version"]] == [version["name"] for version in definition["spec"]["versions"]]


def test_artifact_hub_is_told_of_the_image_and_licence() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    version = chart_yaml()["appVersion"]
    assert [told["image"] for told in annotation("images")] == [f"{values['image']['repository']}:{version}"]
    licence = re.search(r'^license = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert licence
    assert annotation("license") == licence[1]


def test_each_link_into_the_project_leads_somewhere() -> None:
    files = [link["url"].partition("/blob/main/")[2] for link in annotation("links")]
    assert len(list(filter(None, files))) == 2
    assert all((ROOT / file).is_file() for file in files if file)


def test_the_version_has_its_section_in_the_notes_on_upgrading() -> None:
    assert f"\n### {chart_yaml()['version']}\n" in (CHART / "UPGRADING.md").read_text()


def test_the_charts_version_is_the_projects() -> None:
    chart = chart_yaml()
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert project
    assert chart["appVersion"] == project[1]
