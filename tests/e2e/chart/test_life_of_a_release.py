"""Upgrade, uninstall, install elsewhere, remove: as UPGRADING.md says it, while a worker is busy."""

from tests.cluster import earlier
from tests.e2e import usercode
from tests.e2e.chart.conftest import MADE_BY_OURS, OURS, definition_is_there, remove_all
from tests.e2e.chart.documented import commands, follow
from tests.e2e.kubernetes import Json, get, kubectl, wait_until
from tests.e2e.pool import Pool
from tests.e2e.release import IMAGE, OPERATOR, Release, create_namespace

MOVED = Release("moved-pynenc-operator", "pynenc-elsewhere")
WITH_OUR_IMAGE = " ".join(f"--set={setting}" for setting in IMAGE)


def busy_pool(image: str) -> Pool:
    """A pool with a worker whose task waits for our word, and nothing else to do."""
    pool = Pool("upgrade")
    usercode.write(pool, usercode.WAITS)
    pool.apply(image=image, template=usercode.template())
    pool.enqueue(("long", 0, "first"))
    pool.until_states("active")
    return pool


def left_by_a_release() -> set[tuple[str, str]]:
    """(kind, name) of the cluster's objects that carry the chart's label."""
    kinds = "validatingadmissionpolicies,validatingadmissionpolicybindings,clusterroles,clusterrolebindings"
    return {(each["kind"], each["metadata"]["name"]) for each in get(kinds, "-l", OURS)["items"]}


def test_a_busy_worker_outlives_upgrade_and_uninstall_and_drains_for_the_next_release() -> None:
    OPERATOR.install("image.tag=earlier", chart=earlier.chart())
    pool = busy_pool("localhost/pynenc-demo:earlier")
    [worker] = pool.history.uids()
    try:
        # Upgrade: from another chart, CRD, operator and worker image. The running pod is as it was.
        assert "orphans" not in kubectl("explain", "mtr.status")
        [upgrade, *_] = commands("Upgrade")
        follow(upgrade, more=WITH_OUR_IMAGE)
        OPERATOR.until_ready()
        wait_until(lambda: pool.status().get("activeReplicas") == 1, "the new operator knows the worker")
        assert "orphans" in kubectl("explain", "mtr.status")

        # A new image comes beside the busy worker and takes what is new.
        pool.change(image="localhost/pynenc-demo:dev")
        pool.until_seen()
        pool.enqueue(("long", 0, "second"))
        pool.until_begun("second")
        assert len(pool.history.uids()) == 2
        pool.queue.let_end("second")

        # Uninstall: exactly what the table of UPGRADING.md names stays.
        pool.enqueue(("long", 0, "third"))
        pool.until_begun("third")
        OPERATOR.uninstall()
        kept = {("ValidatingAdmissionPolicy", OPERATOR.workers), ("ValidatingAdmissionPolicyBinding", OPERATOR.workers)}
        assert left_by_a_release() == kept | {("ClusterRole", OPERATOR.workers)}
        assert definition_is_there()
        assert {each["metadata"]["name"] for each in made_by_operators("rolebindings")} == {OPERATOR.workers}
        assert {each["metadata"]["name"] for each in made_by_operators("serviceaccounts")} == {"pynenc-worker"}
        assert worker in {pod["metadata"]["uid"] for pod in pool.pods().values()}
        assert pool.queue.succeeded() == 1

        # Another name, another namespace. The workers are its own now, and report by its rights alone.
        [install, policy, rights, *_] = commands("Install again")
        create_namespace(MOVED.namespace)
        names = {"NEW_NAMESPACE": MOVED.namespace, "install NEW ": f"install {MOVED.name} "}
        follow(install, names, more=WITH_OUR_IMAGE)
        MOVED.until_ready()
        follow(policy)
        wait_until(lambda: MOVED.workers in bound(pool), "the new release's rights are there")
        follow(rights)
        assert bound(pool) == {MOVED.workers}
        pool.queue.let_end("first", "third")
        pool.until_succeeded()
        pool.until_gone()
        assert pool.history.interrupted() == []
        wait_until(lambda: pool.status()["replicas"] == 0, "status says zero")
    finally:
        pool.close()


def test_nothing_stays_of_what_is_removed_as_documented() -> None:
    remove_all()
    OPERATOR.install()
    pool = Pool("removed")
    try:
        pool.apply(minReplicas=1)
        pool.until_states("idle")
        for block in commands("Remove everything"):
            follow(block)
        assert pool.pods() == {}
        assert left_by_a_release() == set()
        assert not definition_is_there()
        for kind in ("rolebindings", "serviceaccounts"):
            assert made_by_operators(kind) == []
    finally:
        pool.queue.close()
        pool.history.close()
        kubectl("delete", "namespace", pool.namespace, "--wait=false")


def made_by_operators(kind: str) -> list[Json]:
    found: list[Json] = get(kind, "--all-namespaces", "-l", MADE_BY_OURS)["items"]
    return found


def bound(pool: Pool) -> set[str]:
    """The workers' RoleBindings of the pool's namespace."""
    found = get("rolebindings", "-n", pool.namespace, "-l", MADE_BY_OURS)["items"]
    return {each["metadata"]["name"] for each in found}
