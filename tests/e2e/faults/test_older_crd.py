"""The definition is replaced by an older one under a pool that works: nothing is made of what is left of its spec."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pynenc_operator import labels
from tests.e2e import usercode
from tests.e2e.kubernetes import Json, get, kubectl, wait_until
from tests.e2e.pool import NAME, Pool
from tests.e2e.release import OPERATOR
from tests.e2e.taskqueue import UNDISTURBED

CRD = f"{labels.PLURAL}.{labels.GROUP}"
LACKING = ("env", "envFrom", "rollout", "failedPodsHistoryLimit", "startDeadlineSeconds")
REST_SECONDS = 15


def definition() -> Json:
    found = get("crd", CRD)
    for name in ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"):
        found["metadata"].pop(name, None)
    return {name: part for name, part in found.items() if name != "status"}


def put(body: Json) -> None:
    """As Helm would, so that the next release finds no fields of somebody else's."""
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=helm", "-f", "-", input=json.dumps(body))


@contextmanager
def older() -> Iterator[None]:
    """The API server knows the definition of an earlier version."""
    right = definition()
    old = json.loads(json.dumps(right))
    [version] = old["spec"]["versions"]
    for name in LACKING:
        del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][name]
    put(old)
    try:
        yield
    finally:
        put(right)


def runner(pool: Pool) -> Json:
    return get("mtr", NAME, "-n", pool.namespace)


def refusals(pool: Pool) -> list[str]:
    return [note for reason, _, note in pool.events() if reason == "DefinitionOutdated"]


@pytest.mark.fault("cluster", "the CRD replaced by an older one under two busy workers, then put back")
@pytest.mark.slow
def test_with_an_older_definition_nothing_is_done_and_with_the_right_one_it_goes_on(pool: Pool) -> None:
    usercode.write(pool, usercode.WAITS)
    pool.apply(maxReplicas=4, template=usercode.template())
    pool.enqueue(("long", 0, "held-0"), ("long", 0, "held-1"))
    pool.until_begun("held-0", "held-1")
    wait_until(lambda: pool.states() == ["active", "active"] and pool.status().get("activeReplicas") == 2, "both work")
    before, working = runner(pool), pool.history.uids()
    with older():
        wait_until(lambda: refusals(pool), "the refusal is told")
        assert "spec.env" in refusals(pool)[0]
        waiting = [f"waits-{n}" for n in range(4)]
        pool.enqueue(*(("short", 0, name) for name in waiting))
        pool.queue.let_end("held-0")
        time.sleep(REST_SECONDS)
        assert len(refusals(pool)) == 1
        OPERATOR.remove_by_force()  # the next one knows nothing of how the runner was
        OPERATOR.until_ready()
        wait_until(lambda: "lacks spec.env" in OPERATOR.log(), "the next one refuses as well", 60)
        time.sleep(REST_SECONDS)
        assert pool.history.uids() == working
        assert {seen.asked for seen in pool.history.all()} == {""}
        cut = runner(pool)
        assert "env" not in cut["spec"]
        assert cut["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]  # nothing of it was stored
    pool.fault_is_over()
    pool.until_recovered(lambda: len(pool.pods()) == 4, "as many pods as the queue needs")
    assert runner(pool)["spec"] == before["spec"]
    pool.queue.let_end("held-1", *waiting)
    pool.until_succeeded()
    assert pool.queue.histories()["held-1"] == UNDISTURBED
    assert "TemplateChanged" not in {reason for reason, _, _ in pool.events()}
    assert pool.history.interrupted() == []
    assert "Traceback" not in OPERATOR.log()
    pool.until_gone()
