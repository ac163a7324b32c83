"""A cluster without any release of the chart, before and after each module of its stories."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.kubernetes import kubectl, run
from tests.e2e.pool import clear

OURS = "app.kubernetes.io/name=pynenc-operator"
MADE_BY_OURS = "app.kubernetes.io/managed-by=pynenc-operator"
CRD = "multithreadrunners.pynenc.org"


@pytest.fixture(scope="module", autouse=True)
def _nothing_installed() -> Iterator[None]:
    remove_all()
    yield
    remove_all()


def remove_all() -> None:
    """Uninstall every release, and remove what they have left."""
    if definition_is_there():
        clear()
    for release in json.loads(run("helm", "list", "--all-namespaces", "-o", "json")):
        run("helm", "uninstall", release["name"], "-n", release["namespace"], "--wait")
    kubectl("delete", "crd", CRD, "--ignore-not-found")
    kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy,clusterrole", "-l", OURS)
    kubectl("delete", "rolebindings,serviceaccounts", "--all-namespaces", "-l", MADE_BY_OURS)


def definition_is_there() -> bool:
    return bool(kubectl("get", "crd", CRD, "--ignore-not-found"))
