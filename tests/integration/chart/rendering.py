"""The chart as Helm renders it."""

import functools
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.paths import ROOT
from tests.cluster.programs import command

CHART = ROOT / "charts" / "pynenc-operator"
VALUE_SETS = [None, *sorted((CHART / "ci").glob("*.yaml"))]  # that the chart is tried with; None: its defaults
RELEASE = "pynenc-operator"
RELEASE_NAMESPACE = "pynenc-system"

type Json = dict[str, Any]


def value_set(path: Path | None) -> str:
    """The name of a set of values, in a test's name."""
    return path.stem if path else "defaults"


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


@functools.cache
def render(
    *settings: str,
    release: str = RELEASE,
    namespace: str = RELEASE_NAMESPACE,
    values: Path | None = None,
    tests: bool = False,
) -> list[Json]:
    """The objects of a release with these settings (as of --set-json) and this file of values: not to be changed.

    `tests` are those of `helm test`, which no release holds.
    """
    flags = [f"--set-json={setting}" for setting in settings]
    if not tests:
        flags.append("--skip-tests")
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


def pod_of(objects: list[Json]) -> Json:
    """The specification of the operator's pods."""
    [deployment] = of_kind(objects, "Deployment")
    spec: Json = deployment["spec"]["template"]["spec"]
    return spec


def container_of(objects: list[Json]) -> Json:
    """The operator's container."""
    [container] = pod_of(objects)["containers"]
    found: Json = container
    return found


def environment(objects: list[Json]) -> dict[str, str]:
    """The variables of the operator's container; those that come from its pod are empty."""
    return {variable["name"]: variable.get("value", "") for variable in container_of(objects)["env"]}
