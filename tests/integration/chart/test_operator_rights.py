"""What the chart lets the operator do: exactly a declared set, which works, and nothing beside it."""

import pytest

from tests.integration.chart.caller import MERGE_PATCH, Caller
from tests.integration.chart.conftest import UNWATCHED, WATCHED, Release, bind, role_binding, worker_pod
from tests.integration.chart.rendering import of_kind, render
from tests.integration.chart.rights import LEADING, SERVING, WORKERS, Right, rights

# What an operator of this kind often holds, and this one does not.
NEVER: set[Right] = {
    *((verb, "", "pods", "") for verb in ("patch", "update", "deletecollection")),
    *((verb, "", f"pods/{sub}", "") for verb in ("create", "update") for sub in ("exec", "status", "eviction")),
    *((verb, "", "secrets", "") for verb in ("list", "watch", "create", "update", "patch", "delete")),
    *((verb, "", "serviceaccounts", "") for verb in ("impersonate", "update", "delete")),
    ("create", "", "serviceaccounts/token", ""),
    *((verb, "pynenc.org", "multithreadrunners", "") for verb in ("update", "patch", "delete", "report")),
    ("update", "pynenc.org", "multithreadrunners/status", ""),
    *((verb, "rbac.authorization.k8s.io", "rolebindings", "") for verb in ("delete", "patch", "list")),
    *((verb, "rbac.authorization.k8s.io", "clusterroles", "") for verb in ("bind", "escalate", "update", "create")),
    ("bind", "rbac.authorization.k8s.io", "clusterroles", "cluster-admin"),
    ("create", "", "events", ""),
    ("create", "apps", "deployments", ""),
    ("list", "", "namespaces", ""),
    ("list", "apiextensions.k8s.io", "customresourcedefinitions", ""),
}


def may(caller: Caller, right: Right, namespace: str, release: Release) -> bool:
    verb, group, resource, name = right
    return caller.may(
        verb, group, resource, namespace=namespace, name=release.workers_role if name == WORKERS else name
    )


def allowed(release: Release, wanted: set[Right], namespace: str) -> set[Right]:
    """Those of the rights that the API server grants the release's operator."""
    return {right for right in wanted if may(release.operator, right, namespace, release)}


def test_the_cluster_wide_role_is_the_declared_set() -> None:
    objects = render("crds.enabled=false")
    [role] = [r for r in of_kind(objects, "ClusterRole") if r["metadata"]["name"] == "pynenc-operator.pynenc-system"]
    assert rights(role["rules"]) == SERVING
    [lease] = of_kind(objects, "Role")
    assert rights(lease["rules"]) == LEADING


def test_the_role_of_a_watched_namespace_is_the_declared_set() -> None:
    for role in of_kind(render("crds.enabled=false", 'watchNamespaces=["team-a","team-b"]'), "Role"):
        expected = LEADING if role["metadata"]["namespace"] == "pynenc-system" else SERVING
        assert rights(role["rules"]) == expected


def test_a_worker_may_patch_a_status_and_is_known_by_its_verb() -> None:
    [role] = [r for r in of_kind(render("crds.enabled=false"), "ClusterRole") if WORKERS in r["metadata"]["name"]]
    assert rights(role["rules"]) == {
        ("patch", "", "pods/status", ""),
        ("report", "pynenc.org", "multithreadrunners", ""),
    }


@pytest.mark.parametrize("namespace", [WATCHED, UNWATCHED, ""], ids=["here", "there", "all at once"])
def test_an_operator_of_all_namespaces_may_do_it_everywhere(serving_all: Release, namespace: str) -> None:
    assert allowed(serving_all, SERVING, namespace) == SERVING
    assert allowed(serving_all, NEVER, namespace) == set()


def test_an_operator_of_one_namespace_may_do_it_only_there(serving_one: Release) -> None:
    assert allowed(serving_one, SERVING, WATCHED) == SERVING
    assert allowed(serving_one, NEVER, WATCHED) == set()
    for elsewhere in (UNWATCHED, serving_one.namespace, ""):
        assert allowed(serving_one, SERVING | NEVER, elsewhere) == set()


def test_the_lease_is_its_own(serving_all: Release) -> None:
    assert allowed(serving_all, LEADING, serving_all.namespace) == LEADING
    assert allowed(serving_all, LEADING, WATCHED) == set()
    others = {(verb, "coordination.k8s.io", "leases", "another") for verb in ("get", "update")}
    assert allowed(serving_all, others, serving_all.namespace) == set()


def test_it_makes_what_a_new_namespace_needs(serving_one: Release, admin: Caller) -> None:
    operator, core = serving_one.operator, f"/api/v1/namespaces/{WATCHED}"
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "made-by-operator"}}
    assert operator.call("POST", f"{core}/serviceaccounts", account).code == 201
    assert operator.call("POST", f"{core}/pods", worker_pod("made-0", "made-by-operator")).code == 201
    bind(operator, WATCHED, serving_one.workers_role, subject="made-by-operator")

    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{WATCHED}/rolebindings"
    binding = operator.call("GET", f"{path}/{serving_one.workers_role}-{WATCHED}").body
    binding["subjects"].append({"kind": "ServiceAccount", "name": "another", "namespace": WATCHED})
    assert operator.call("PUT", f"{path}/{binding['metadata']['name']}", binding).code == 200
    assert admin.call("DELETE", f"{core}/pods/made-0").code == 200


# `edit` and `view` themselves are empty without a controller that aggregates them from these.
@pytest.mark.parametrize("role", ["cluster-admin", "system:aggregate-to-edit", "system:aggregate-to-view"])
def test_it_hands_out_no_other_role(serving_all: Release, admin: Caller, role: str) -> None:
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{WATCHED}/rolebindings"
    refusal = serving_all.operator.call("POST", path, role_binding("more", role, "default", WATCHED))
    assert refusal.code == 403
    assert "attempting to grant RBAC permissions not currently held" in refusal.message

    of_others = admin.call("POST", path, role_binding(f"of-others-{role}", role, "default", WATCHED)).body
    of_others["subjects"].append({"kind": "ServiceAccount", "name": "mine", "namespace": WATCHED})
    assert serving_all.operator.call("PUT", f"{path}/of-others-{role}", of_others).code == 403


def test_it_binds_nothing_where_it_does_not_serve(serving_one: Release) -> None:
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{UNWATCHED}/rolebindings"
    binding = role_binding("workers", serving_one.workers_role, "default", UNWATCHED)
    assert serving_one.operator.call("POST", path, binding).code == 403


def test_it_changes_no_pod_but_by_its_status(serving_all: Release, admin: Caller) -> None:
    pod = f"/api/v1/namespaces/{WATCHED}/pods/as-it-is"
    assert admin.call("POST", f"/api/v1/namespaces/{WATCHED}/pods", worker_pod("as-it-is", "default")).code == 201
    drain = {"metadata": {"annotations": {"pynenc.org/drain-request": "1"}}}
    assert serving_all.operator.call("PATCH", pod, drain, content_type=MERGE_PATCH).code == 403
    assert serving_all.operator.patch_status(WATCHED, "as-it-is", drain).code == 200


def test_it_reads_a_secret_by_name_only_where_it_serves(serving_one: Release, admin: Caller) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "broker"}, "stringData": {"url": "redis://x"}}
    for namespace in (WATCHED, UNWATCHED):
        assert admin.call("POST", f"/api/v1/namespaces/{namespace}/secrets", secret).code == 201
    read = serving_one.operator.call
    assert read("GET", f"/api/v1/namespaces/{WATCHED}/secrets/broker").code == 200
    assert read("GET", f"/api/v1/namespaces/{WATCHED}/secrets").code == 403
    assert read("GET", f"/api/v1/namespaces/{UNWATCHED}/secrets/broker").code == 403
