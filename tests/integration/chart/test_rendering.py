"""The rendered chart: a real API server takes it at the restricted Pod Security level, and its values decide."""

import copy
import itertools
from pathlib import Path

import pytest
import yaml

from pynenc_operator.config import OperatorConfig
from pynenc_worker import contract
from tests.cluster.half_cluster import HalfCluster
from tests.integration.chart.rendering import CHART, Json, environment, helm, helm_template, name_of, of_kind, render
from tests.integration.conftest import CRD_FILE

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
VALUE_SETS = [None, *sorted((CHART / "ci").glob("*.yaml"))]
DEFAULTS: Json = yaml.safe_load((CHART / "values.yaml").read_text())
KEEP = "helm.sh/resource-policy"

_numbers = itertools.count(1)


@pytest.fixture
def restricted(crd_installed: HalfCluster) -> str:
    """A new namespace where only pods of the restricted level may be."""
    name = f"chart-restricted-{next(_numbers)}"
    crd_installed.create_namespace(name, RESTRICTED)
    return name


def value_set(path: Path | None) -> str:
    return path.stem if path else "defaults"


def cluster_scoped(objects: list[Json]) -> set[tuple[str, str]]:
    """Kind and name of what belongs to no namespace, the CRD apart, of which a cluster has one."""
    found = {(o["kind"], name_of(o)) for o in objects if "namespace" not in o["metadata"]}
    return {(kind, name) for kind, name in found if kind != "CustomResourceDefinition"}


@pytest.mark.parametrize("values", VALUE_SETS, ids=value_set)
def test_helm_lints_it(values: Path | None) -> None:
    done = helm("lint", "--strict", str(CHART), *([f"--values={values}"] if values else []))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", VALUE_SETS, ids=value_set)
def test_the_api_server_takes_it_without_a_warning(
    half_cluster: HalfCluster, restricted: str, values: Path | None
) -> None:
    objects = render(namespace=restricted, values=values)
    for namespace in {o["metadata"].get("namespace", restricted) for o in objects} - {restricted}:
        half_cluster.create_namespace(namespace)
    done = half_cluster.kubectl("apply", "--dry-run=server", "-f", "-", input=yaml.safe_dump_all(objects))
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == len(objects)


def test_the_restricted_level_lets_the_operators_pod_in(half_cluster: HalfCluster, restricted: str) -> None:
    [deployment] = of_kind(render(namespace=restricted), "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    pod: Json = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator"}, "spec": spec}
    half_cluster.kubectl("create", "serviceaccount", spec["serviceAccountName"], f"--namespace={restricted}")
    create = ("create", "--dry-run=server", f"--namespace={restricted}", "-f", "-")
    half_cluster.kubectl(*create, input=yaml.safe_dump(pod))

    lax = copy.deepcopy(pod)
    del lax["spec"]["securityContext"]
    refusal = half_cluster.kubectl(*create, input=yaml.safe_dump(lax), check=False)
    assert "violates PodSecurity" in refusal.stderr


def test_nobody_but_the_operators_user_writes_to_its_files() -> None:
    [deployment] = of_kind(render(), "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {}}]


def test_the_definition_is_the_projects() -> None:
    [rendered] = of_kind(render(), "CustomResourceDefinition")
    source = yaml.safe_load(CRD_FILE.read_text())
    assert rendered["spec"] == source["spec"]
    assert name_of(rendered) == name_of(source)


@pytest.mark.parametrize(
    ("setting", "annotations"),
    [("crds.keep=true", {KEEP: "keep"}), ("crds.keep=false", None)],
)
def test_the_definition_stays_if_it_is_to_be_kept(setting: str, annotations: Json | None) -> None:
    [rendered] = of_kind(render(setting), "CustomResourceDefinition")
    assert rendered["metadata"].get("annotations") == annotations


def test_the_definition_can_be_left_to_others() -> None:
    assert of_kind(render("crds.enabled=false"), "CustomResourceDefinition") == []


def test_what_running_workers_need_stays() -> None:
    kept = {(o["kind"], name_of(o)) for o in render() if KEEP in o["metadata"].get("annotations", {})}
    workers = "pynenc-operator-workers.pynenc-system"
    assert kept == {
        ("CustomResourceDefinition", "multithreadrunners.pynenc.org"),
        ("ClusterRole", workers),
        ("ValidatingAdmissionPolicy", workers),
        ("ValidatingAdmissionPolicyBinding", workers),
    }


def test_two_releases_share_no_cluster_wide_name() -> None:
    releases = [("a", "b-c"), ("a-b", "c"), ("pynenc-operator", "c"), ("a", "c")]
    names = [cluster_scoped(render(release=release, namespace=namespace)) for release, namespace in releases]
    assert len(set.union(*names)) == sum(len(each) for each in names) == len(releases) * 5


def test_longest_names_are_accepted(half_cluster: HalfCluster) -> None:
    namespace = "n" * 63
    half_cluster.create_namespace(namespace, RESTRICTED)
    objects = render("crds.enabled=false", release="r" * 53, namespace=namespace)
    half_cluster.kubectl("apply", "--dry-run=server", "-f", "-", input=yaml.safe_dump_all(objects))


def test_one_list_decides_what_is_watched_and_what_may_be_touched() -> None:
    objects = render('watchNamespaces=["team-a","team-b"]')
    assert OperatorConfig.from_environment(environment(objects)).watch_namespaces == ("team-a", "team-b")
    roles = {(o["metadata"]["namespace"], name_of(o)) for o in of_kind(objects, "Role")}
    assert roles == {
        ("team-a", "pynenc-operator.pynenc-system"),
        ("team-b", "pynenc-operator.pynenc-system"),
        ("pynenc-system", "pynenc-operator-lease"),
    }
    assert [name_of(o) for o in of_kind(objects, "ClusterRole")] == ["pynenc-operator-workers.pynenc-system"]
    assert of_kind(objects, "ClusterRoleBinding") == []


def test_without_the_list_all_namespaces_are_watched() -> None:
    objects = render()
    assert OperatorConfig.from_environment(environment(objects)).watch_namespaces == ()
    assert [o["metadata"]["namespace"] for o in of_kind(objects, "Role")] == ["pynenc-system"]


def test_the_operator_is_told_its_names() -> None:
    objects = render()
    told = OperatorConfig.from_environment(environment(objects))
    assert told.worker_cluster_role in {name_of(o) for o in of_kind(objects, "ClusterRole")}
    [lease] = [r["resourceNames"] for o in of_kind(objects, "Role") for r in o["rules"] if "resourceNames" in r]
    assert lease == [told.lease_name]
    assert told.lease_namespace == "pynenc-system"


@pytest.mark.parametrize("values", VALUE_SETS, ids=value_set)
def test_the_operator_understands_what_it_is_told(values: Path | None) -> None:
    objects = render(values=values)
    wanted = DEFAULTS | (yaml.safe_load(values.read_text()) if values else {})
    told = OperatorConfig.from_environment(environment(objects))
    assert list(told.watch_namespaces) == wanted["watchNamespaces"]
    assert told.allow_local_backends == wanted["allowLocalBackends"]
    assert told.log_level == wanted["logLevel"]
    assert told.relaxed_x509 == wanted["relaxedX509"]
    [deployment] = of_kind(objects, "Deployment")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": told.port}]
    assert deployment["spec"]["template"]["spec"]["enableServiceLinks"] is False  # they would be unknown settings


@pytest.mark.parametrize(
    ("settings", "image"),
    [
        ((), "ghcr.io/pynenc/pynenc-operator:0.1.0"),
        (('image.repository="localhost/pynenc-operator"', 'image.tag="dev"'), "localhost/pynenc-operator:dev"),
    ],
)
def test_the_image_is_the_versions_unless_told(settings: tuple[str, ...], image: str) -> None:
    [deployment] = of_kind(render(*settings), "Deployment")
    assert [c["image"] for c in deployment["spec"]["template"]["spec"]["containers"]] == [image]


def test_the_policy_is_strict_and_in_force() -> None:
    objects = render()
    [policy] = of_kind(objects, "ValidatingAdmissionPolicy")
    assert policy["spec"]["failurePolicy"] == "Fail"
    [binding] = of_kind(objects, "ValidatingAdmissionPolicyBinding")
    assert binding["spec"] == {"policyName": name_of(policy), "validationActions": ["Deny"]}
    [report] = [v["expression"] for v in policy["spec"]["variables"] if v["name"] == "report"]
    assert all(f"'{key}'" in report for key in contract.WORKER_WRITES)


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ('watchNamespace=["team-a"]', "watchNamespace"),
        ('image.repo="x"', "repo"),
        ('watchNamespaces="team-a"', "watchNamespaces"),
        ("replicaCount=0", "replicaCount"),
    ],
)
def test_helm_refuses_a_wrong_value_by_its_name(setting: str, named: str) -> None:
    done = helm_template(f"--set-json={setting}")
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
    assert named in done.stderr


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ((), "serves the MultiThreadRunners of all namespaces"),
        (('watchNamespaces=["team-a","team-b"]',), "of these namespaces: team-a, team-b"),
        (("crds.enabled=false",), "did not install the CustomResourceDefinition"),
        (("crds.keep=false",), "WARNING: crds.keep is false"),
    ],
)
def test_the_notes_say_what_to_do_next(settings: tuple[str, ...], says: str) -> None:
    flags = [f"--set-json={setting}" for setting in settings]
    done = helm("install", "r", str(CHART), "--namespace=pynenc-system", "--dry-run=client", *flags)
    notes = done.stdout.partition("NOTES:")[2]
    assert says in notes
    assert "kubectl --namespace pynenc-system rollout status deployment/r-pynenc-operator" in notes
