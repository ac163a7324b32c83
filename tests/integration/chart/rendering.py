"""The chart as Helm renders it."""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.paths import ROOT
from tests.cluster.programs import command

CHART = ROOT / "charts" / "pynenc-operator"
RELEASE = "pynenc-operator"
RELEASE_NAMESPACE = "pynenc-system"

type Json = dict[str, Any]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Helm, whatever comes of it; it keeps nothing outside the test run."""
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [str(command("helm")), *arguments],
            env=os.environ | {f"HELM_{kind}_HOME": home for kind in ("CACHE", "CONFIG", "DATA")},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def helm_template(
    *flags: str, release: str = RELEASE, namespace: str = RELEASE_NAMESPACE
) -> subprocess.CompletedProcess[str]:
    """`helm template` of the chart, whatever comes of it."""
    return helm("template", release, str(CHART), f"--namespace={namespace}", *flags)


def render(
    *settings: str, release: str = RELEASE, namespace: str = RELEASE_NAMESPACE, values: Path | None = None
) -> list[Json]:
    """The objects of a release with these settings (as of --set-json) and this file of values."""
    flags = [f"--set-json={setting}" for setting in settings]
    if values is not None:
        flags.append(f"--values={values}")
    done = helm_template(*flags, release=release, namespace=namespace)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.load_all(done.stdout, yaml.CSafeLoader) if document]


def of_kind(objects: list[Json], kind: str) -> list[Json]:
    """The objects of one kind, in the chart's order."""
    return [each for each in objects if each["kind"] == kind]


def name_of(each: Json) -> str:
    """An object's name in its namespace, if it has one."""
    name: str = each["metadata"]["name"]
    return name


def environment(objects: list[Json]) -> dict[str, str]:
    """The variables of the operator's container; those that come from its pod are empty."""
    [deployment] = of_kind(objects, "Deployment")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable.get("value", "") for variable in container["env"]}
