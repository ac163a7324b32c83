import json
from pathlib import Path
from typing import Any

import pytest

from examples.demo import __main__ as command
from examples.demo import backend
from examples.demo.backend import CLAIM, FILE, Redis, Sqlite
from examples.demo.stage import NAMESPACE
from examples.demo.target import References, UsageError
from pynenc_operator.podspec import build_worker_pod
from pynenc_worker.backend import BACKENDS
from tests.cluster.console import ClusterError
from tests.unit.demo.conftest import Program
from tests.unit.demo.test_sharedfolder import node
from tests.unit.operator.resources import runner

IMAGES = References("operator:1", "demo:1", "redis:7")
OWNER = {"metadata": {"name": NAMESPACE, "uid": "uid of demo"}}
# A kubectl that answers with the files `namespace`, `nodes`, `pv` and `pvc`, and keeps what it was asked and given.
KUBECTL = """
echo "$@" >> lines
case "$1" in
    get) file=$(echo "$2" | cut -d/ -f1); [ ! -e "$file" ] || cat "$file";;
    apply) cat >> given; echo >> given;;
esac
"""


def asked(folder: Path, *verbs: str) -> list[str]:
    return [line for line in (folder / "lines").read_text().splitlines() if line.split()[0] in verbs]


def applied(folder: Path) -> list[dict[str, Any]]:
    return [part for line in (folder / "given").read_text().splitlines() for part in json.loads(line)["items"]]


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """The folder of a cluster with one node, in which nothing of ours is but the namespace."""
    (tmp_path / "namespace").write_text(json.dumps(OWNER))
    (tmp_path / "nodes").write_text(json.dumps({"items": [node("one")]}))
    return tmp_path


def test_redis_is_the_default() -> None:
    assert isinstance(backend.chosen({}), Redis)
    assert isinstance(backend.chosen({"BACKEND": ""}), Redis)
    assert isinstance(backend.chosen({"BACKEND": "sqlite"}), Sqlite)


def test_an_unknown_backend_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match=r"BACKEND=mysql is neither `redis` .* nor `sqlite`"):
        backend.chosen({"BACKEND": "mysql"})


def test_the_command_refuses_it_before_any_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["demo"])
    monkeypatch.setenv("BACKEND", "mysql")
    assert command.main() == 2
    assert "BACKEND=mysql" in capsys.readouterr().err


def test_the_commands_help_has_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["demo", "--help"])
    with pytest.raises(SystemExit, match="0"):
        command.main()
    said = capsys.readouterr().out
    assert all(name in said for name in ("BACKEND=sqlite", "CLUSTER=current", "DEMO_JSON="))


def test_on_sqlite_nothing_speaks_of_redis() -> None:
    for part in (Sqlite().runner("demo:1"), Sqlite().producer("demo:1")):
        assert "redis" not in json.dumps(part).lower()
        assert "demo:1" in json.dumps(part)


def test_on_sqlite_the_rest_is_as_on_redis() -> None:
    mine, theirs = Sqlite().runner("demo:1")["spec"], Redis().runner("demo:1")["spec"]
    assert {**mine, "backend": None} == {**theirs, "backend": None}


def test_the_producer_has_the_classes_and_the_file_of_the_workers() -> None:
    mtr = runner(**Sqlite().runner("demo:1")["spec"])
    mtr["metadata"]["namespace"] = NAMESPACE
    worker = build_worker_pod(mtr, "reports-0")["spec"]
    producer = Sqlite().producer("demo:1")["spec"]["template"]["spec"]
    claims = [volume["persistentVolumeClaim"] for volume in producer["volumes"] if "persistentVolumeClaim" in volume]
    assert claims == [{"claimName": CLAIM}]
    assert claims == [each["persistentVolumeClaim"] for each in worker["volumes"] if "persistentVolumeClaim" in each]
    (container,) = producer["containers"]
    (mount,) = (mount for mount in container["volumeMounts"] if "subPath" in mount)
    (theirs,) = (mount for mount in worker["containers"][0]["volumeMounts"] if "subPath" in mount)
    assert mount["subPath"] == theirs["subPath"] == NAMESPACE
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    assert environment["PYNENC__SQLITE_DB_PATH"] == f"{mount['mountPath']}/{FILE}"
    classes = BACKENDS["sqlite"].components.by_name()
    assert {f"PYNENC__{name.upper()}_CLS": cls for name, cls in classes.items()}.items() <= environment.items()


def test_the_operator_is_given_the_claim_that_is_made_for_it(program: Program, cluster: Path) -> None:
    Sqlite().prepare(program(KUBECTL))
    made = [(part["kind"], part["metadata"].get("namespace")) for part in applied(cluster)]
    claims = [("PersistentVolumeClaim", namespace) for namespace in ("pynenc-system", NAMESPACE)]
    assert made == [("PersistentVolume", None), claims[0], ("PersistentVolume", None), claims[1]]
    assert Sqlite().chart_values == {"sqlite.existingClaim": applied(cluster)[1]["metadata"]["name"]}
    assert not asked(cluster, "delete")
    assert len(asked(cluster, "wait")) == 2


def test_what_an_earlier_demo_left_is_deleted_first(program: Program, cluster: Path) -> None:
    client = program(KUBECTL)
    Sqlite().prepare(client)
    earlier = applied(cluster)[0] | {"status": {"phase": "Released"}}
    (cluster / "pv").write_text(json.dumps(earlier))
    (cluster / "lines").unlink()
    Sqlite().prepare(client)
    verbs = [line.split()[0] for line in asked(cluster, "delete", "apply")]
    assert verbs == ["delete", "delete", "delete", "apply", "delete", "delete", "apply"]
    deleted = asked(cluster, "delete")
    assert deleted[0].startswith(f"delete pvc/{CLAIM} pv/{CLAIM}-pynenc-system --namespace pynenc-system")
    assert deleted[1].startswith("delete pods --namespace pynenc-system")  # the claim stays while the operator has it
    assert "--wait=false" not in deleted[2]
    assert deleted[3].startswith(f"delete pvc/{CLAIM} pv/{CLAIM}-{NAMESPACE} --namespace {NAMESPACE}")


def test_without_a_node_nothing_is_made(program: Program, cluster: Path) -> None:
    (cluster / "nodes").write_text(json.dumps({"items": [node("one", ready="False")]}))
    with pytest.raises(ClusterError, match="no node that is Ready"):
        Sqlite().prepare(program(KUBECTL))
    assert not (cluster / "given").exists()


def test_the_folder_is_made_by_a_job_whose_namespace_goes_again(program: Program, cluster: Path) -> None:
    Sqlite().start(program(KUBECTL), IMAGES)
    maker, job = applied(cluster)
    name = maker["metadata"]["name"]
    assert [container["image"] for container in job["spec"]["template"]["spec"]["containers"]] == ["demo:1"]
    lines = asked(cluster, "delete", "apply", "wait")
    assert [line.split()[0] for line in lines] == ["delete", "apply", "wait", "delete"]
    assert f"job/{job['metadata']['name']}" in lines[2]
    assert lines[3] == f"delete namespace {name} --wait=false"


def test_a_folder_that_is_not_made_says_where_to_look(program: Program, cluster: Path) -> None:
    client = program(KUBECTL + '[ "$1" != wait ] || { echo timed out >&2; exit 1; }')
    with pytest.raises(ClusterError, match=r"on node host of one: .*timed out\n.*--namespace pynenc-demo-folders"):
        Sqlite().start(client, IMAGES)
    assert "--wait=false" not in asked(cluster, "delete")[-1]  # what there is to look at stays


def test_redis_runs_the_clusters_image_and_is_emptied(program: Program, cluster: Path) -> None:
    Redis().start(program(KUBECTL), IMAGES)
    deployment, service = applied(cluster)
    assert [container["image"] for container in deployment["spec"]["template"]["spec"]["containers"]] == ["redis:7"]
    assert service["kind"] == "Service"
    assert asked(cluster, "exec") == ["exec deployment/redis --namespace demo -- redis-cli flushall"]


def test_each_backend_makes_room_for_another_one(program: Program, cluster: Path) -> None:
    client = program(KUBECTL)
    for queue in backend.BACKENDS.values():
        (other,) = backend.others(queue)
        assert type(other) is not type(queue)
        other.remove(client)
    assert asked(cluster, "delete") == [
        f"delete pvc/{CLAIM} pv/{CLAIM}-pynenc-system --namespace pynenc-system --ignore-not-found --wait=false",
        f"delete pvc/{CLAIM} pv/{CLAIM}-{NAMESPACE} --namespace {NAMESPACE} --ignore-not-found --wait=false",
        "delete deployment,service redis --namespace demo --ignore-not-found --wait=false",
    ]
