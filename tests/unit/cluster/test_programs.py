"""Names of builds, and the clusters' own."""

import shutil
from pathlib import Path

import pytest

from tests.cluster import programs, setup
from tests.cluster.console import ClusterError
from tests.cluster.paths import DEFINITIONS, ClusterPaths
from tests.cluster.programs import ON_DEMAND, PROGRAMS, Program, command, search_path


@pytest.fixture
def definitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copied = tmp_path / "programs"
    shutil.copytree(DEFINITIONS, copied)
    monkeypatch.setattr(programs, "DEFINITIONS", copied)
    return copied


def test_versions_are_those_of_the_go_mod_files() -> None:
    versions = {name: program.version for name, program in PROGRAMS.items()}
    assert versions == {
        "etcd": "3.7.3",
        "kubernetes": "1.36.3",
        "helm": "4.3.1",
        "containerd": "2.4.2",
        "coredns": "1.15.0",
        "pause": "1",
    }


def test_what_is_built_on_demand_is_no_part_of_the_cluster() -> None:
    versions = {name: program.version for name, program in ON_DEMAND.items()}
    assert versions == {"keda": "2.21.0", "kwok": "0.8.0", "ferretdb": "1.24.0"}
    assert not ON_DEMAND.keys() & PROGRAMS.keys()
    assert not any(program.key in setup.current_versions() for program in ON_DEMAND.values())


def test_kubernetes_is_stamped_with_its_version() -> None:
    linker = PROGRAMS["kubernetes"].flags[PROGRAMS["kubernetes"].flags.index("-ldflags") + 1]
    for stamp in ("gitVersion=v1.36.3", "gitMajor=1", "gitMinor=36"):
        assert f"-X k8s.io/component-base/version.{stamp}" in linker


@pytest.mark.parametrize("file", ["go.mod", "go.sum", "main.go"])
def test_a_changed_input_is_another_build(definitions: Path, file: str) -> None:
    before = PROGRAMS["coredns"].key
    changed = definitions / "coredns" / file
    changed.write_text(changed.read_text() + "\n// changed\n")
    assert PROGRAMS["coredns"].key != before


def test_changed_flags_are_another_build() -> None:
    program = PROGRAMS["containerd"]
    other = Program(program.name, program.module, program.commands, program.stamps, tags=())
    assert other.key != program.key


def test_no_definition_names_a_registry_host() -> None:
    for file in DEFINITIONS.rglob("go.*"):
        assert "://" not in file.read_text(), file


def test_a_command_that_is_not_built_is_an_error_with_the_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYNENC_OPERATOR_CACHE", str(tmp_path))
    with pytest.raises(ClusterError, match=r"kubectl is not built yet: run .* programs kubernetes"):
        command("kubectl")


def test_our_programs_come_before_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/somewhere/bin")
    folders = search_path("kubernetes", "helm").split(":")
    assert folders[:3] == [str(PROGRAMS["kubernetes"].built), str(PROGRAMS["helm"].built), "/somewhere/bin"]
    assert "/usr/sbin" in folders


@pytest.mark.parametrize("name", ["../other", "Upper", "", "-dash", "a" * 33, "with space"])
def test_a_name_that_could_leave_the_cache_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYNENC_CLUSTER", name)
    if not name:
        assert ClusterPaths.current().name == "pynenc-operator"
        return
    with pytest.raises(ClusterError, match="is no cluster name"):
        ClusterPaths.current()
