"""After a run of tests/e2e: what the operator has asked for is what the chart grants, and no secret could be seen."""

import pytest

from tests.e2e import observed
from tests.e2e.audit import requests_of
from tests.e2e.kubernetes import Json, get
from tests.e2e.release import OPERATOR
from tests.integration.chart.rights import Right, rights, used

pytestmark = pytest.mark.whole_run

# The API server asks for it by itself, when a RoleBinding is written that the writer's own rights do not cover.
NEVER_ASKED_FOR = "bind"


def granted() -> set[Right]:
    """The rules of the roles that the release has."""
    cluster_role = get("clusterrole", f"{OPERATOR.name}.{OPERATOR.namespace}")
    lease = get("role", f"{OPERATOR.name}-lease", "-n", OPERATOR.namespace)
    return rights(cluster_role["rules"]) | rights(lease["rules"])


def test_the_rights_that_were_used_are_those_that_are_granted() -> None:
    needed = used(requests_of(OPERATOR.account))
    assert {right for right in granted() if right[0] != NEVER_ASKED_FOR} - needed == set()
    assert needed - granted() == set()


def test_the_operator_was_refused_nothing_for_want_of_a_right() -> None:
    def refused(request: Json) -> bool:
        return "is forbidden: User" in request["responseStatus"].get("message", "")

    found = [request["objectRef"]["resource"] for request in requests_of(OPERATOR.account) if refused(request)]
    # helm uninstall takes the rights to the Lease away before the operator has given it up.
    assert set(found) <= {"leases"}


@pytest.mark.fault("security", "after all stories: logs, events, status, metrics and labels searched for their secrets")
def test_no_secret_of_any_story_could_be_seen() -> None:
    pools = observed.kept()
    assert sum(pool["secrets"] for pool in pools) > 0, "no story of this run has a Secret that is worth a search"
    assert [found for pool in pools for found in pool["found"]] == []
