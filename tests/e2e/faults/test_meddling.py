"""Other people's hands on our pods and on a runner's status: what is theirs is left, what is ours is put right."""

import json
import time

import pytest

from pynenc_operator import labels
from tests.e2e import usercode
from tests.e2e.audit import Audit
from tests.e2e.kubernetes import Json, wait_until
from tests.e2e.objects import STRANGER, create
from tests.e2e.pool import NAME, Pool
from tests.e2e.release import OPERATOR
from tests.e2e.taskqueue import UNDISTURBED
from tests.e2e.together import side_by_side

REST_SECONDS = 10


@pytest.mark.fault("cluster", "our label taken off a busy pod, and put back; its owner taken off another")
@pytest.mark.slow
@side_by_side
def test_a_busy_pod_without_our_label_or_owner_works_on_and_another_one_serves(pool: Pool) -> None:
    usercode.hold(pool, "held", minReplicas=1, maxReplicas=2)
    wait_until(lambda: pool.states() == ["active"], "it says that it works")
    pool.kubectl("label", "pod", "reports-0", f"{labels.RUNNER}-")
    wait_until(lambda: list(pool.pods()) == ["reports-1"] and pool.states() == ["idle"], "another one serves")
    assert pool.condition("NameTaken") == ("True", "ForeignPod")
    assert "reports-0" in pool.said("NameTaken")
    pool.kubectl("label", "pod", "reports-0", f"{labels.RUNNER}={NAME}")
    pool.fault_is_over()
    pool.until_recovered(lambda: pool.status()["replicas"] == 2 or len(pool.pods()) == 1, "it counts again")
    pool.until_recovered(lambda: list(pool.pods()) == ["reports-0"], "the one that was too many has left")
    pool.kubectl("patch", "pod", "reports-0", "--type=merge", "-p", '{"metadata":{"ownerReferences":null}}')
    wait_until(lambda: pool.status()["replicas"] == 1 and len(pool.pods()) == 2, "another one serves for it")
    assert pool.queue.succeeded() == 0
    pool.queue.let_end("held")
    pool.until_succeeded()
    assert pool.queue.histories()["held"] == UNDISTURBED
    assert "Recover" not in {action for _, action, _ in pool.events()}
    pool.kubectl("delete", "pod", "reports-0", "--wait=false")  # whoever took it away from us has to see to it
    wait_until(lambda: "reports-0" not in pool.pods() and pool.states() == ["idle"], "one of ours is left")


@pytest.mark.fault("cluster", "a pod made by hand with our labels, and an idle one deleted by hand")
@side_by_side
def test_a_pod_with_our_labels_that_we_do_not_own_is_neither_counted_nor_touched(pool: Pool) -> None:
    marks = {labels.MANAGED_BY: labels.MANAGED_BY_US, labels.RUNNER: NAME}
    create(pool, "Pod", "reports-1", marks=marks, spec={"containers": [STRANGER]})
    [stranger] = pool.all_uids()
    pool.apply(minReplicas=2, maxReplicas=2)
    wait_until(lambda: sorted(pool.pods()) == ["reports-0", "reports-1", "reports-2"], "two are made")
    wait_until(lambda: pool.status().get("readyReplicas") == 2, "two are ready")
    deleted = pool.pods()["reports-0"]["metadata"]["uid"]
    pool.kubectl("delete", "pod", "reports-0", "--wait=false")
    pool.fault_is_over()
    pool.until_recovered(lambda: len(pool.history.uids()) == 4 and pool.status()["idleReplicas"] == 2, "two are idle")
    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(4)))
    pool.until_succeeded()
    assert pool.status()["replicas"] == 2
    assert pool.pods()["reports-1"]["metadata"]["uid"] == stranger
    assert {seen.uid for seen in pool.history.interruptions()} <= {deleted}  # that one was not asked to drain
    assert all(history == UNDISTURBED for history in pool.queue.histories().values())


@pytest.mark.fault("cluster", "the status edited by hand, and taken away whole")
@side_by_side
def test_a_status_that_is_edited_by_hand_is_put_right_once(pool: Pool) -> None:
    usercode.hold(pool, "held", maxReplicas=3)
    wait_until(lambda: pool.status().get("activeReplicas") == 1, "it works")
    right = settled(pool)
    before = pool.history.uids()
    lies = {"replicas": 99, "readyReplicas": 99, "desiredReplicas": 99, "queueDepth": 99, "selector": "a=b"}
    for status in ({**lies, "conditions": []}, None):
        audit = Audit()
        patch = json.dumps({"status": status})
        pool.kubectl("patch", "mtr", NAME, "--subresource=status", "--type=merge", "-p", patch)
        pool.fault_is_over()
        pool.until_recovered(lambda: without_times(pool.status()) == right, "the status is right again")
        time.sleep(REST_SECONDS)
        written = audit.of(OPERATOR.account, pool.namespace)["patch", "multithreadrunners/status"]
        assert written <= 2, status
    assert pool.history.uids() == before
    pool.queue.let_end("held")
    pool.until_succeeded()
    assert pool.history.interrupted() == []


def settled(pool: Pool) -> Json:
    """The status, once it has not changed for two seconds."""
    while True:
        before = without_times(pool.status())
        time.sleep(2)
        if without_times(pool.status()) == before:
            return before


def without_times(status: Json) -> Json:
    """A status without what was learned or is a time, which nobody can know again."""
    kept = ("replicas", "readyReplicas", "activeReplicas", "idleReplicas", "desiredReplicas", "queueDepth", "selector")
    conditions = {c["type"]: (c["status"], c["reason"]) for c in status.get("conditions", ())}
    return {**{name: status.get(name) for name in kept}, "conditions": conditions}
