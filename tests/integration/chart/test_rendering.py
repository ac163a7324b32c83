"""The rendered chart: a real API server takes it at the restricted Pod Security level, and keeps what has to stay."""

import copy
import itertools
import json
import tarfile
import time
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from pynenc_operator.config import OperatorConfig
from pynenc_worker import contract
from tests.cluster.half_cluster import HalfCluster
from tests.integration.chart.monitoring.definitions import definitions
from tests.integration.chart.rendering import (
    CHART,
    RELEASE,
    RELEASE_NAMESPACE,
    VALUE_SETS,
    Json,
    environment,
    helm,
    helm_template,
    name_of,
    of_kind,
    pod_of,
    render,
    value_set,
)
from tests.integration.conftest import CRD_FILE
from tests.unit.chart.wrong_values import WRONG

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
# By their published schemas: of the chart's kubeVersion, and the newest that the validator has.
OLDEST_KUBERNETES = "1.30"
NEWEST_KUBERNETES = kubernetes_validate.latest_version()
OF_OTHERS = ("monitoring.coreos.com/", "apiextensions.k8s.io/")  # Prometheus Operator's; and no schema knows a schema
KEEP = "helm.sh/resource-policy"
SERVED_WITHIN = 30.0  # seconds

_numbers = itertools.count(1)


@pytest.fixture
def restricted(crd_installed: HalfCluster) -> str:
    """A new namespace where only pods of the restricted level may be."""
    name = f"chart-restricted-{next(_numbers)}"
    crd_installed.create_namespace(name, RESTRICTED)
    return name


@pytest.fixture(scope="module")
def monitoring(half_cluster: HalfCluster) -> HalfCluster:
    """The half cluster, once it serves what Prometheus Operator would."""
    plurals = ("servicemonitors", "podmonitors", "prometheusrules")
    for file in definitions(*plurals):
        half_cluster.kubectl("apply", "--server-side", "-f", str(file))
    deadline = time.monotonic() + SERVED_WITHIN
    for plural in plurals:
        while half_cluster.kubectl("explain", f"{plural}.spec", check=False).returncode:
            assert time.monotonic() < deadline, f"{plural} are not served"
            time.sleep(0.2)
    return half_cluster


def cluster_scoped(objects: list[Json]) -> set[tuple[str, str]]:
    """Kind and name of what belongs to no namespace, the CRD apart, of which a cluster has one."""
    found = {(o["kind"], name_of(o)) for o in objects if "namespace" not in o["metadata"]}
    return {(kind, name) for kind, name in found if kind != "CustomResourceDefinition"}


@pytest.mark.parametrize("values", VALUE_SETS, ids=value_set)
def test_helm_lints_it(values: Path | None) -> None:
    done = helm("lint", "--strict", str(CHART), *([f"--values={values}"] if values else []))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, NEWEST_KUBERNETES])
@pytest.mark.parametrize("values", VALUE_SETS, ids=value_set)
def test_the_oldest_and_the_newest_kubernetes_know_every_field(values: Path | None, version: str) -> None:
    objects = [each for each in render(values=values, tests=True) if not each["apiVersion"].startswith(OF_OTHERS)]
    assert len(objects) > 10
    for each in objects:
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("values", VALUE_SETS, ids=value_set)
def test_the_api_server_takes_it_without_a_warning(
    monitoring: HalfCluster, restricted: str, values: Path | None
) -> None:
    objects = render(namespace=restricted, values=values, tests=True)
    for namespace in {o["metadata"].get("namespace", restricted) for o in objects} - {restricted}:
        if monitoring.kubectl("get", "namespace", namespace, check=False).returncode:
            monitoring.create_namespace(namespace)
    apply = ("apply", "--server-side", "--dry-run=server", "--field-manager=helm", "-f", "-")  # as Helm 4 does
    done = monitoring.kubectl(*apply, input=yaml.dump_all(objects, Dumper=yaml.CSafeDumper))
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == len(objects)


def test_the_restricted_level_lets_the_operators_pod_in(half_cluster: HalfCluster, restricted: str) -> None:
    spec = pod_of(render(namespace=restricted))
    pod: Json = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator"}, "spec": spec}
    half_cluster.kubectl("create", "serviceaccount", spec["serviceAccountName"], f"--namespace={restricted}")
    create = ("create", "--dry-run=server", f"--namespace={restricted}", "-f", "-")
    half_cluster.kubectl(*create, input=yaml.safe_dump(pod))

    lax = copy.deepcopy(pod)
    del lax["spec"]["securityContext"]
    refusal = half_cluster.kubectl(*create, input=yaml.safe_dump(lax), check=False)
    assert "violates PodSecurity" in refusal.stderr


def test_the_definition_is_the_projects() -> None:
    [rendered] = of_kind(render(), "CustomResourceDefinition")
    source = yaml.safe_load(CRD_FILE.read_text())
    assert rendered["spec"] == source["spec"]
    assert name_of(rendered) == name_of(source)


def test_the_api_server_takes_the_example_for_artifact_hub(crd_installed: HalfCluster, namespace: str) -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    examples = yaml.safe_load(chart["annotations"]["artifacthub.io/crdsExamples"])
    assert [example["kind"] for example in examples] == ["MultiThreadRunner"]
    create = ("create", "--dry-run=server", f"--namespace={namespace}", "-f", "-")
    assert crd_installed.kubectl(*create, input=yaml.safe_dump_all(examples)).stderr == ""


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
    assert len(set.union(*names)) == sum(len(each) for each in names) == len(releases) * 7


def test_longest_names_are_accepted(half_cluster: HalfCluster) -> None:
    namespace = "n" * 63
    half_cluster.create_namespace(namespace, RESTRICTED)
    objects = render("crds.enabled=false", release="r" * 53, namespace=namespace)
    half_cluster.kubectl("apply", "--dry-run=server", "-f", "-", input=yaml.dump_all(objects, Dumper=yaml.CSafeDumper))


def test_one_list_decides_what_is_watched_and_what_may_be_touched() -> None:
    objects = render('watchNamespaces=["team-a","team-b"]')
    assert OperatorConfig.from_environment(environment(objects)).watch_namespaces == ("team-a", "team-b")
    roles = {(o["metadata"]["namespace"], name_of(o)) for o in of_kind(objects, "Role")}
    assert roles == {
        ("team-a", "pynenc-operator.pynenc-system"),
        ("team-b", "pynenc-operator.pynenc-system"),
        ("pynenc-system", "pynenc-operator-lease"),
    }
    cluster_wide = {f"pynenc-operator-{role}.pynenc-system" for role in ("workers", "view", "edit")}
    assert {name_of(o) for o in of_kind(objects, "ClusterRole")} == cluster_wide
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


def test_the_policy_is_strict_and_in_force() -> None:
    objects = render()
    [policy] = of_kind(objects, "ValidatingAdmissionPolicy")
    assert policy["spec"]["failurePolicy"] == "Fail"
    [binding] = of_kind(objects, "ValidatingAdmissionPolicyBinding")
    assert binding["spec"] == {"policyName": name_of(policy), "validationActions": ["Deny"]}
    [report] = [v["expression"] for v in policy["spec"]["variables"] if v["name"] == "report"]
    assert all(f"'{key}'" in report for key in contract.WORKER_WRITES)


@pytest.mark.parametrize(("values", "named"), WRONG, ids=[json.dumps(values) for values, _ in WRONG])
def test_helm_refuses_a_wrong_value_by_its_name(values: Json, named: str) -> None:
    done = helm_template(*(f"--set-json={key}={json.dumps(value)}" for key, value in values.items()))
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
    assert named in done.stderr


def test_the_package_has_what_a_user_needs_and_no_more(tmp_path: Path) -> None:
    done = helm("package", str(CHART), f"--destination={tmp_path}")
    assert done.returncode == 0, done.stderr
    [package] = tmp_path.glob("*.tgz")
    with tarfile.open(package) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    assert {name for name in files if "/" not in name} == {
        *("Chart.yaml", "values.yaml", "values.schema.json", "README.md", "UPGRADING.md", ".helmignore"),
    }
    assert {name.partition("/")[0] for name in files if "/" in name} == {"templates", "alerts", "dashboards"}
    packaged = helm("template", RELEASE, str(package), f"--namespace={RELEASE_NAMESPACE}")
    assert packaged.returncode == 0, packaged.stderr
    assert packaged.stdout == helm_template().stdout


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ((), "serves the MultiThreadRunners of all namespaces"),
        (('watchNamespaces=["team-a","team-b"]',), "of these namespaces: team-a, team-b"),
        (("crds.enabled=false",), "WARNING: the cluster knows no MultiThreadRunner"),
        (("crds.keep=false",), "WARNING: crds.keep is false"),
        (("rbac.aggregateClusterRoles=false",), "Nobody but the cluster's administrators may create"),
        (("allowLocalBackends=true",), "WARNING: allowLocalBackends is true"),
        (("replicaCount=2", 'sqlite.existingClaim="files"'), "The claim files has to be ReadWriteMany"),
    ],
)
def test_the_notes_say_what_to_do_next(settings: tuple[str, ...], says: str) -> None:
    notes = notes_of(*settings)
    assert says in notes
    assert "kubectl --namespace pynenc-system rollout status deployment/r-pynenc-operator" in notes
    assert "helm test r --namespace pynenc-system" in notes


def test_the_notes_warn_of_nothing_that_is_right() -> None:
    assert "WARNING" not in notes_of()
    assert notes_of().rstrip().endswith("`kubectl explain multithreadrunner.spec` describes every field.")


def notes_of(*settings: str) -> str:
    flags = [f"--set-json={setting}" for setting in settings]
    done = helm("install", "r", str(CHART), "--namespace=pynenc-system", "--dry-run=client", *flags)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:")[2]
