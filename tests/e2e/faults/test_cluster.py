"""What a namespace may hold against a pool: limits, policies, webhooks, sidecars, taken names, and its own end."""

import tempfile
import time
from pathlib import Path

import pytest

from tests.e2e import usercode
from tests.e2e.audit import Audit
from tests.e2e.conftest import MakePool
from tests.e2e.kubernetes import Json, get, kubectl, wait_until
from tests.e2e.objects import RESTRICTED, STRANGER, create
from tests.e2e.pool import NAME, Pool
from tests.e2e.release import OPERATOR
from tests.e2e.together import side_by_side
from tests.e2e.webhook import changing_pods

REST_SECONDS = 20
SIDECAR_IMAGE = "localhost/pynenc-demo:dev"
IGNORES_ITS_END = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(100000)"
SIDECAR = {"name": "sidecar", "image": SIDECAR_IMAGE, "command": ["python3", "-c", IGNORES_ITS_END]}


def limit(pool: Pool, **of_containers: Json) -> None:
    create(pool, "LimitRange", "limits", spec={"limits": [{"type": "Container", **of_containers}]})


def creations(audit: Audit, pool: Pool) -> int:
    """How often the operator has tried to create a pod, also as a dry run."""
    asked = audit.of(OPERATOR.account, pool.namespace)
    return sum(count for (verb, resource), count in asked.items() if verb.startswith("create") and resource == "pods")


@pytest.mark.fault("cluster", "a LimitRange with defaults, then one below the template's limit, then raised")
@pytest.mark.slow
@side_by_side
def test_limits_of_the_namespace_are_taken_and_one_that_refuses_is_told_in_its_words(pool: Pool) -> None:
    limit(pool, default={"memory": "300Mi"}, defaultRequest={"memory": "100Mi"})
    pool.apply(minReplicas=1, maxReplicas=2)
    pool.until_states("idle")
    [worker] = pool.pods().values()
    assert worker["spec"]["containers"][0]["resources"]["limits"] == {"memory": "300Mi"}
    assert pool.condition("Progressing") == ("True", "UpToDate")  # a default of the platform's is no other template
    limit(pool, max={"memory": "150Mi"})
    pool.change(template={"spec": {"containers": [{"name": "worker", "resources": {"limits": {"memory": "200Mi"}}}]}})
    wait_until(lambda: pool.condition("TemplateValid") == ("False", "Rejected"), "the refusal is told")
    assert "maximum memory usage per Container is 150Mi" in pool.said("TemplateValid")
    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(4)))
    pool.until_succeeded()  # by the pod that was there before
    assert len(pool.history.uids()) == 1
    limit(pool, max={"memory": "400Mi"}, default={"memory": "300Mi"})
    pool.fault_is_over()
    # The same template is tried again after 5, 20 and 80 s.
    pool.until_recovered(lambda: pool.condition("TemplateValid") == ("True", "Accepted"), "it is accepted", 120)
    wait_until(lambda: len(pool.history.uids()) == 2 and pool.states() == ["idle"], "the pod is replaced")
    assert pool.history.interrupted() == []


@pytest.mark.fault("cluster", "a privileged template under the restricted Pod Security level, while busy, then mended")
@side_by_side
def test_a_template_that_pod_security_refuses_is_told_and_not_tried_in_a_loop(pool: Pool) -> None:
    usercode.hold(pool, "held", maxReplicas=2)
    [before] = pool.all_uids()
    audit = Audit()
    privileged = usercode.template(securityContext={"privileged": True, "allowPrivilegeEscalation": True})
    pool.change(template=privileged)
    wait_until(lambda: pool.condition("TemplateValid") == ("False", "Rejected"), "the refusal is told")
    assert 'violates PodSecurity "restricted' in pool.said("TemplateValid")
    assert pool.condition("Ready") == ("False", "TemplateInvalid")
    pool.enqueue(("short", 0, "waits"))
    time.sleep(REST_SECONDS)
    assert creations(audit, pool) <= 3  # at once, after 5 and after 20 s
    assert pool.history.uids() == {before}
    pool.change(template=None)
    pool.change(template=usercode.template())
    pool.fault_is_over()
    pool.until_recovered(lambda: pool.queue.executions()["waits"], "what waited begins")
    pool.until_recovered(lambda: pool.condition("TemplateValid") == ("True", "Accepted"), "it is accepted")
    pool.queue.let_end("held", "waits")
    pool.until_succeeded()
    assert pool.history.interrupted() == []
    pool.until_gone()


@pytest.mark.fault("cluster", "a mutating webhook that adds labels, annotations and variables to every pod")
@side_by_side
def test_what_a_webhook_adds_to_pods_is_no_other_template(pool: Pool) -> None:
    variable = {"name": "INJECTED", "value": "yes"}
    patch: list[Json] = [
        {"op": "add", "path": "/metadata/labels/mesh.example.com~1revision", "value": "r1"},
        {"op": "add", "path": "/metadata/annotations", "value": {"mesh.example.com/status": "injected"}},
        {"op": "add", "path": "/spec/containers/0/env/-", "value": variable},
    ]
    with tempfile.TemporaryDirectory() as folder, changing_pods(Path(folder), pool.namespace, patch):
        pool.apply(minReplicas=2, maxReplicas=4, maxThreads=2)
        pool.until_states("idle", "idle")
        [one, other] = pool.pods().values()
        assert one["metadata"]["annotations"]["mesh.example.com/status"] == "injected"
        assert variable in other["spec"]["containers"][0]["env"]
        pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(8)))
        pool.until_succeeded()
        wait_until(lambda: pool.states() == ["idle", "idle"], "two are left")
        audit, before = Audit(), pool.history.uids()
        time.sleep(REST_SECONDS)
        assert pool.history.uids() == before
        assert not [about for about in audit.of(OPERATOR.account, pool.namespace) if about[1].startswith("pods")]
    assert "TemplateChanged" not in {reason for reason, _, _ in pool.events()}
    assert pool.condition("Progressing") == ("True", "UpToDate")
    assert pool.history.interrupted() == []


@pytest.mark.fault("cluster", "a sidecar that ignores SIGTERM, beside workers that leave idle and busy")
@pytest.mark.slow
@side_by_side
def test_a_sidecar_that_does_not_end_keeps_no_pod_for_long_and_ends_no_task(pool: Pool) -> None:
    template = usercode.template()
    template["spec"]["containers"].append({**SIDECAR, "securityContext": RESTRICTED})
    usercode.hold(pool, "held", maxReplicas=2, template=template)
    [first] = pool.all_uids()
    pool.change(maxReplicas=0)
    pool.history.wait_for(lambda seen: seen.state == "draining", "the busy one drains")
    pool.queue.let_end("held", "next")
    pool.until_succeeded()
    pool.history.wait_for(lambda seen: seen.uid == first and seen.terminating, "it is deleted")
    pool.fault_is_over()
    pool.until_recovered(lambda: pool.status()["replicas"] == 0, "the pool is at zero")
    pool.history.wait_for(lambda seen: seen.uid == first and seen.gone, "it is gone", seconds=90)
    pool.change(maxReplicas=1)
    pool.enqueue(("short", 0, "next"))
    pool.until_succeeded()
    pool.history.wait_for(lambda seen: seen.uid != first and seen.asked.startswith("idle."), "the idle one is asked")
    pool.history.wait_for(lambda seen: seen.uid != first and seen.gone, "the idle one is gone", seconds=90)
    assert pool.history.interrupted() == []


@pytest.mark.fault("cluster", "a StatefulSet whose pod has the name that ours would get next")
@side_by_side
def test_a_name_that_a_statefulset_owns_is_left_to_it_and_the_next_one_is_used(pool: Pool) -> None:
    template = {"metadata": {"labels": {"app": "theirs"}}, "spec": {"containers": [STRANGER]}}
    spec = {"serviceName": "theirs", "selector": {"matchLabels": {"app": "theirs"}}, "template": template}
    create(pool, "StatefulSet", NAME, "apps/v1", spec=spec)
    wait_until(lambda: get("pods", "-n", pool.namespace, "-l", "app=theirs")["items"], "its pod is there")
    [theirs] = get("pods", "-n", pool.namespace, "-l", "app=theirs")["items"]
    assert theirs["metadata"]["name"] == "reports-0"
    audit = Audit()
    pool.apply(minReplicas=2, maxReplicas=2)
    wait_until(lambda: pool.states() == ["idle", "idle"], "two serve")
    assert sorted(pool.pods()) == ["reports-1", "reports-2"]
    wait_until(lambda: pool.condition("NameTaken") == ("True", "ForeignPod"), "the taken name is told")
    assert "reports-0" in pool.said("NameTaken")
    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(4)))
    pool.until_succeeded()
    assert pool.condition("Ready") == ("True", "Serving")
    assert creations(audit, pool) <= 5  # a dry run, the taken name, and two
    assert get("pod", "reports-0", "-n", pool.namespace)["metadata"]["uid"] == theirs["metadata"]["uid"]


@pytest.mark.fault("cluster", "a namespace deleted under four busy workers, beside one that works")
@pytest.mark.slow
def test_a_namespace_that_is_deleted_under_load_goes_and_disturbs_nobody(make_pool: MakePool) -> None:
    going, staying = make_pool(), make_pool()
    staying.apply(maxReplicas=4)
    usercode.hold(going, *(f"held-{n}" for n in range(4)), maxReplicas=6, drainTimeoutSeconds=5)
    going.enqueue(*(("short", 0, f"waits-{n}") for n in range(20)))
    wait_until(lambda: len(going.pods()) == 6, "the pool grows")
    told = len(OPERATOR.log())
    kubectl("delete", "namespace", going.namespace, "--wait=false")
    staying.enqueue(*(("short", 0.5, f"s{n}") for n in range(12)))
    staying.until_succeeded()
    wait_until(
        lambda: not get("namespaces", "--field-selector", f"metadata.name={going.namespace}")["items"], "it goes"
    )
    staying.fault_is_over()
    staying.enqueue(("short", 0.5, "after"))
    staying.until_recovered(lambda: staying.queue.executions()["after"], "the other one's next task begins")
    staying.until_succeeded()
    log = OPERATOR.log()[told:]
    assert "Traceback" not in log
    about = [line for line in log.splitlines() if going.namespace in line]
    assert len(about) <= 40, "\n".join(about)
    assert staying.history.interrupted() == []
