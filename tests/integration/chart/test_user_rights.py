"""What the cluster's roles `view`, `edit` and `admin` get from the chart, as the API server grants it."""

import pytest

from tests.cluster.half_cluster import HalfCluster
from tests.integration.chart.caller import Caller, service_account
from tests.integration.chart.conftest import UNWATCHED, WATCHED, Release, bind
from tests.integration.chart.rendering import name_of, of_kind, render
from tests.integration.chart.rights import Right

RUNNERS, GROUP = "multithreadrunners", "pynenc.org"
READING: set[Right] = {
    (verb, GROUP, f"{RUNNERS}{sub}", "") for verb in ("get", "list", "watch") for sub in ("", "/status", "/scale")
}
WRITING: set[Right] = {
    *((verb, GROUP, RUNNERS, "") for verb in ("create", "update", "patch", "delete", "deletecollection")),
    *((verb, GROUP, f"{RUNNERS}/scale", "") for verb in ("update", "patch")),
}
# Statuses are the operator's, and `report` is what makes a worker of somebody.
NEVER: set[Right] = {
    *((verb, GROUP, f"{RUNNERS}/status", "") for verb in ("update", "patch")),
    ("report", GROUP, RUNNERS, ""),
    ("get", "", "secrets", ""),
    ("create", "", "pods", ""),
}
AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"


def allowed(caller: Caller, namespace: str) -> set[Right]:
    """Those of all these rights that a caller has."""
    return {right for right in READING | WRITING | NEVER if caller.may(*right[:3], namespace=namespace)}


# Nobody aggregates in half a cluster: the roles are bound themselves.
@pytest.mark.parametrize(("role", "rights"), [("view", READING), ("edit", WRITING)])
def test_a_role_grants_its_verbs_and_no_more(
    serving_all: Release, half_cluster: HalfCluster, admin: Caller, role: str, rights: set[Right]
) -> None:
    name = f"pynenc-operator-{role}.{serving_all.namespace}"
    half_cluster.kubectl("create", "serviceaccount", f"user-{role}", f"--namespace={WATCHED}")
    user = service_account(half_cluster, WATCHED, f"user-{role}")
    bind(admin, WATCHED, name, subject=f"user-{role}")
    user.until_allowed(*sorted(rights)[0][:3], namespace=WATCHED)
    assert allowed(user, WATCHED) == rights
    assert allowed(user, UNWATCHED) == set()


def test_who_may_change_may_read_too() -> None:
    into = {
        name_of(role): {label.removeprefix(AGGREGATE) for label in role["metadata"]["labels"] if AGGREGATE in label}
        for role in of_kind(render(), "ClusterRole")
    }
    assert {name: roles for name, roles in into.items() if roles} == {
        "pynenc-operator-view.pynenc-system": {"view", "edit", "admin"},
        "pynenc-operator-edit.pynenc-system": {"edit", "admin"},
    }


def test_they_can_be_left_out() -> None:
    roles = of_kind(render("rbac.aggregateClusterRoles=false"), "ClusterRole")
    assert not [label for role in roles for label in role["metadata"]["labels"] if AGGREGATE in label]
