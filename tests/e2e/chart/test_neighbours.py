"""Releases beside each other serve their own namespaces; the policy that one has left behind holds all workers."""

import json
import time
from collections.abc import Iterator

import pytest

from pynenc_worker import contract
from tests.e2e.chart.documented import UPGRADING, commands, follow
from tests.e2e.kubernetes import apply, get, kubectl, wait_until
from tests.e2e.pool import Pool
from tests.e2e.release import Release

pytestmark = pytest.mark.slow

ONE = Release("pynenc-operator", "pynenc-one")
OTHER = Release("pynenc-operator", "pynenc-other")


@pytest.fixture(scope="module")
def neighbours() -> Iterator[tuple[Pool, Pool]]:
    """Two pools in namespaces of their own, each served by a release of its own; the second takes the CRD as it is."""
    first, second = Pool("one"), Pool("other")
    try:
        ONE.install(f"watchNamespaces={{{first.namespace}}}")
        OTHER.install(f"watchNamespaces={{{second.namespace}}}", "crds.enabled=false")
        yield first, second
    finally:
        first.close()
        second.close()


def instances(pool: Pool) -> set[str]:
    """The operators that have told of the pool."""
    found = get("events.events.k8s.io", "-n", pool.namespace)["items"]
    ours = [event for event in found if event["regarding"].get("kind") == "MultiThreadRunner"]
    return {event["reportingInstance"] for event in ours}


def test_each_serves_its_own_namespace_and_may_do_nothing_in_the_other(neighbours: tuple[Pool, Pool]) -> None:
    for pool in neighbours:
        pool.apply(minReplicas=1, maxReplicas=2)
        pool.enqueue(("long", 4.0, "a"), ("short", 1.0, "b"), ("short", 1.0, "c"))
    for pool, ours, others in ((neighbours[0], ONE, OTHER), (neighbours[1], OTHER, ONE)):
        pool.until_succeeded()
        pool.until_states("idle")
        assert pool.history.interrupted() == []
        assert instances(pool) == {pod["metadata"]["name"] for pod in ours.pods().values()}
        may = ("auth", "can-i", "list", "pods", "-n", pool.namespace)
        assert kubectl(*may, f"--as={ours.account}").strip() == "yes"
        assert_refused(*may, f"--as={others.account}")
        binding = get("rolebindings", "-n", pool.namespace, "-l", "app.kubernetes.io/managed-by=pynenc-operator")
        assert [each["metadata"]["name"] for each in binding["items"]] == [ours.workers]


def test_a_policy_left_by_an_older_release_refuses_newer_reports_until_it_is_removed(
    neighbours: tuple[Pool, Pool],
) -> None:
    pool, _ = neighbours
    left = "pynenc-operator-workers.pynenc-left-behind"
    for kind in ("validatingadmissionpolicy", "validatingadmissionpolicybinding"):
        apply(older(get(kind, ONE.workers), left))
    [pod] = pool.pods()
    wait_until(lambda: "denied request" in reported(pool, pod), "the older policy is enforced")
    documented = UPGRADING.partition("\n    ValidatingAdmissionPolicy ")[2].partition("\n\n")[0]
    [says] = [line.strip() for line in documented.splitlines() if "may change only" in line]
    assert says.partition("pynenc.org/")[0] + contract.WORKER_VERSION in reported(pool, pod)
    assert left in follow(commands("The workers' policy")[0].splitlines()[0])
    [_, policy, *_] = commands("Install again")
    follow(policy, {"pynenc-operator-workers.pynenc-system": left})
    wait_until(lambda: reported(pool, pod) == "", "the worker may report again")


def older(found: dict[str, object], name: str) -> dict[str, object]:
    """A policy or its binding under another name, as a version left it that did not know one of the annotations."""
    text = json.dumps(found | {"metadata": {"name": name, "labels": {"app.kubernetes.io/name": "pynenc-operator"}}})
    text = text.replace(ONE.workers, name).replace(f"'{contract.WORKER_VERSION}', ", "")
    text = text.replace(f"'{contract.WORKER_VERSION}',", "")
    changed: dict[str, object] = json.loads(text)
    changed.pop("status", None)
    return changed


def reported(pool: Pool, pod: str) -> str:
    """What the API server says to a report with an annotation of a newer version; empty if it takes it."""
    script = "import json, ssl, sys, urllib.error, urllib.request as web\n" + REPORT
    return pool.kubectl("exec", pod, "--", "python", "-c", script, pool.namespace, pod, str(time.time())).strip()


# With the worker's own token, from its own pod.
REPORT = f"""
secrets, (namespace, pod, version) = "/var/run/secrets/kubernetes.io/serviceaccount/", sys.argv[1:]
request = web.Request(
    f"https://kubernetes.default.svc/api/v1/namespaces/{{namespace}}/pods/{{pod}}/status",
    data=json.dumps({{"metadata": {{"annotations": {{{contract.WORKER_VERSION!r}: version}}}}}}).encode(),
    headers={{"Authorization": "Bearer " + open(secrets + "token").read(),
             "Content-Type": "application/merge-patch+json"}},
    method="PATCH",
)
context = ssl.create_default_context(cafile=secrets + "ca.crt")
try:
    web.urlopen(request, timeout=30, context=context).read()
except urllib.error.HTTPError as error:
    print(json.load(error)["message"])
"""


def assert_refused(*question: str) -> None:
    with pytest.raises(AssertionError, match=r": no\b"):
        kubectl(*question)
