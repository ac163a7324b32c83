"""The reconciler against a real API server."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pynenc_operator.clock import Clock
from pynenc_operator.conditions import rfc3339
from pynenc_operator.kube import Forbidden, Kube
from pynenc_operator.kube_connection import Connection
from pynenc_operator.reconciler import AGAIN_SECONDS
from pynenc_operator.rest import REST_SECONDS
from tests.cluster.half_cluster import HalfCluster
from tests.integration.operator.pool_harness import NoAccess, Pool, manifest

type MakePool = Callable[..., Pool]
type Requests = list[tuple[str, str]]


@pytest.fixture
def requests() -> Requests:
    """What was asked of the API server: (verb, resource)."""
    return []


@pytest.fixture
async def make_pool(
    crd_installed: HalfCluster, namespace: str, monkeypatch: pytest.MonkeyPatch, requests: Requests
) -> AsyncIterator[MakePool]:
    """A runner with the given spec, and a reconciler for it."""
    monkeypatch.setenv("KUBECONFIG", str(crd_installed.kubeconfig))
    clock = Clock()

    def counted(verb: str, resource: str, code: str, seconds: float) -> None:  # noqa: ARG001
        requests.append((verb, resource))

    connection = await Connection.open(clock, counted)
    crd_installed.kubectl("create", "serviceaccount", "pynenc-worker", "-n", namespace)

    def make(**spec: Any) -> Pool:
        crd_installed.kubectl("apply", "-n", namespace, "-f", "-", input=manifest(**spec))
        return Pool(Kube(connection), namespace, clock.now)

    yield make
    await connection.close()


async def test_pods_follow_the_queue_up_and_down(make_pool: MakePool) -> None:
    pool = make_pool(idleTimeoutSeconds=10)
    pool.depths.depth = 3
    await pool.look()
    assert await pool.names() == ["reports-0", "reports-1", "reports-2"]

    pool.depths.depth = 0
    for name in await pool.names():
        await pool.report(name, "active", threads=1)
    await pool.look()
    assert (await pool.status())["activeReplicas"] == 3

    await pool.report("reports-0", "idle", idle_for=5)
    await pool.report("reports-1", "idle", idle_for=11)
    await pool.look()
    requested = {
        pod["metadata"]["name"]: pod["metadata"].get("annotations", {}).get("pynenc.org/drain-request")
        for pod in await pool.all()
    }
    assert requested["reports-0"] is None
    assert requested["reports-1"]
    assert requested["reports-2"] is None

    await pool.report("reports-1", "drained")
    await pool.look()
    assert await pool.names() == ["reports-0", "reports-2"]


async def test_a_pool_at_rest_asks_for_nothing(make_pool: MakePool, requests: Requests) -> None:
    pool = make_pool(minReplicas=1)
    await pool.look()
    await pool.report("reports-0", "idle")
    await pool.look()
    requests.clear()
    for _ in range(10):
        assert await pool.reconciler.reconcile(pool.key) == 1.0
    assert requests == []


async def make_a_pod_and_ask_it_to_leave(pool: Pool) -> None:
    """For a task that has gone meanwhile; the pool's idle timeout is shorter than 5 s."""
    pool.depths.depth = 1
    await pool.look()
    pool.depths.depth = 0
    await pool.report("reports-0", "idle", idle_for=5)
    await pool.look()


async def test_a_pod_costs_three_writes(make_pool: MakePool, requests: Requests) -> None:
    pool = make_pool(idleTimeoutSeconds=1)
    await pool.look()
    requests.clear()
    await make_a_pod_and_ask_it_to_leave(pool)
    await pool.report("reports-0", "drained")
    requests_of_the_test = [("patch", "pods/status")] * 2
    await pool.look()
    writes = [call for call in requests if call[0] not in {"get", "list"} and call[1].startswith("pods")]
    for call in requests_of_the_test:
        writes.remove(call)
    assert sorted(writes) == [("create", "pods"), ("delete", "pods"), ("patch", "pods/status")]


async def test_a_worker_that_turns_active_before_the_deletion_survives(make_pool: MakePool) -> None:
    pool = make_pool(idleTimeoutSeconds=1)
    await make_a_pod_and_ask_it_to_leave(pool)
    await pool.report("reports-0", "drained")
    decided_on = await pool.kube.get_pod(*pool.key._replace(name="reports-0"))
    await pool.report("reports-0", "draining", threads=1)
    pool.pods.put(pool.key, decided_on, pool.now())
    await pool.reconciler.reconcile(pool.key)
    assert await pool.names() == ["reports-0"]


async def test_a_drain_is_taken_back_when_work_comes_before_its_answer(make_pool: MakePool) -> None:
    pool = make_pool(idleTimeoutSeconds=1)
    await make_a_pod_and_ask_it_to_leave(pool)
    pool.depths.depth = 1
    await pool.look()
    [pod] = await pool.all()
    assert "pynenc.org/drain-request" not in pod["metadata"]["annotations"]
    assert "deletionTimestamp" not in pod["metadata"]


async def test_an_answered_drain_is_final_and_another_pod_is_made(make_pool: MakePool) -> None:
    pool = make_pool(idleTimeoutSeconds=1)
    await make_a_pod_and_ask_it_to_leave(pool)
    await pool.report("reports-0", "drained")
    pool.depths.depth = 1
    await pool.look()
    assert await pool.names() == ["reports-1"]


async def test_an_unknown_depth_holds_and_says_so(make_pool: MakePool) -> None:
    pool = make_pool(idleTimeoutSeconds=1)
    pool.depths.depth = 1
    await pool.look()
    await pool.report("reports-0", "idle", idle_for=50)
    pool.depths.depth = None
    await pool.look()
    assert await pool.names() == ["reports-0"]
    assert await pool.condition("BrokerReachable") == ("False", "Unreachable")
    assert await pool.condition("Ready") == ("False", "BrokerUnreachable")
    assert "queueDepth" not in await pool.status()


async def test_a_foreign_pod_takes_an_ordinal(make_pool: MakePool, crd_installed: HalfCluster) -> None:
    pool = make_pool(minReplicas=2)
    crd_installed.kubectl(
        "run",
        "reports-0",
        "-n",
        pool.key.namespace,
        "--image=x",
        "--overrides",
        '{"spec":{"automountServiceAccountToken":false}}',
    )
    await pool.look()
    await pool.look()
    assert await pool.names() == ["reports-1", "reports-2"]
    assert await pool.condition("NameTaken") == ("True", "ForeignPod")


async def test_a_rejected_template_is_told_and_tried_rarely(
    make_pool: MakePool, crd_installed: HalfCluster, requests: Requests
) -> None:
    pool = make_pool(minReplicas=1, template={"spec": {"priorityClassName": "no-such-class"}})
    await pool.look()
    status, reason = await pool.condition("TemplateValid")
    assert (status, reason) == ("False", "Rejected")
    assert await pool.condition("Ready") == ("False", "TemplateInvalid")
    requests.clear()
    for _ in range(5):
        await pool.reconciler.reconcile(pool.key)
    assert ("create", "pods") not in requests

    crd_installed.kubectl(
        "patch",
        "mtr",
        "reports",
        "-n",
        pool.key.namespace,
        "--type=json",
        '-p=[{"op":"remove","path":"/spec/template"}]',
    )
    await pool.look()
    assert await pool.names() == ["reports-0"]
    assert await pool.condition("TemplateValid") == ("True", "Accepted")


async def test_a_full_quota_is_a_limit_and_not_a_fault_of_the_template(
    make_pool: MakePool, crd_installed: HalfCluster
) -> None:
    pool = make_pool(minReplicas=3)
    quota = '{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"pods":"1"}}}'
    crd_installed.kubectl("apply", "-n", pool.key.namespace, "-f", "-", input=quota)
    crd_installed.kubectl(
        "patch",
        "resourcequota",
        "q",
        "-n",
        pool.key.namespace,
        "--subresource=status",
        "--type=merge",
        '-p={"status":{"hard":{"pods":"1"},"used":{"pods":"0"}}}',
    )
    await pool.look()
    await pool.look()
    assert await pool.names() == ["reports-0"]
    assert await pool.condition("ScalingLimited") == ("True", "QuotaExceeded")
    assert await pool.condition("TemplateValid") == ("True", "Accepted")


async def test_shadow_reports_and_does_nothing(make_pool: MakePool, requests: Requests) -> None:
    pool = make_pool(mode="Shadow")
    pool.depths.depth = 4
    await pool.look()
    assert (await pool.status())["desiredReplicas"] == 4
    assert await pool.names() == []
    assert ("create", "events") not in requests


async def test_a_deed_is_told_in_one_event_of_its_kind(make_pool: MakePool, crd_installed: HalfCluster) -> None:
    pool = make_pool(minReplicas=3)
    await pool.look()
    told = crd_installed.kubectl(
        "get",
        "events.events.k8s.io",
        "-n",
        pool.key.namespace,
        "-o",
        "jsonpath={range .items[*]}{.reason}: {.note}{end}",
    ).stdout
    assert told == "MinReplicas: created reports-0, reports-1, reports-2 (0 queued)"
    assert (await pool.status())["lastScaleReason"] == "MinReplicas"


async def test_a_new_template_is_tried_before_old_pods_leave(make_pool: MakePool, crd_installed: HalfCluster) -> None:
    pool = make_pool(minReplicas=2, maxReplicas=2)
    await pool.look()
    for name in await pool.names():
        await pool.report(name, "active", threads=1)
    crd_installed.kubectl(
        "patch", "mtr", "reports", "-n", pool.key.namespace, "--type=merge", '-p={"spec":{"image":"reports:2"}}'
    )
    await pool.look()
    assert await pool.names() == ["reports-0", "reports-1", "reports-2"]
    assert await pool.condition("Progressing") == ("True", "RollingOut")
    await pool.look()
    assert await pool.asked_to_leave() == []

    await pool.report("reports-2", "idle")
    await pool.look()
    [leaving] = await pool.asked_to_leave()
    await pool.report(leaving, "drained")
    await pool.look()
    assert leaving not in await pool.names()


async def test_a_template_whose_pods_fail_is_tried_rarely_and_told_in_the_platforms_words(
    make_pool: MakePool, requests: Requests
) -> None:
    pool = make_pool()
    pool.depths.depth = 3
    await pool.look()
    for name in await pool.names():
        await pool.fail(name, "exec: not found")
    requests.clear()
    await pool.look()
    assert ("create", "pods") not in requests
    status = await pool.status()
    assert status["failures"]["count"] == 1
    [progressing] = [c for c in status["conditions"] if c["type"] == "Progressing"]
    assert (progressing["status"], progressing["reason"]) == ("False", "StartError")
    assert "exec: not found" in progressing["message"]
    assert await pool.condition("Ready") == ("False", "PodsFail")
    assert await pool.condition("ScalingLimited") == ("True", "StartFailures")

    pool.skew += 6
    requests.clear()
    await pool.look()
    assert requests.count(("create", "pods")) == 1


async def test_scaling_goes_on_without_a_status_and_without_rights(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, requests: Requests
) -> None:
    async def refuse(*_: object) -> None:
        raise Forbidden("no", verb="patch", resource="multithreadrunners/status", status=403)

    pool = make_pool(minReplicas=1)
    monkeypatch.setattr(pool.kube, "patch_runner_status", refuse)
    monkeypatch.setattr(NoAccess, "ensure", refuse)
    assert await pool.look() == 1.0
    assert await pool.names() == ["reports-0"]
    requests.clear()
    assert await pool.reconciler.reconcile(pool.key) == 1.0
    assert requests == []


async def test_another_service_account_gets_its_rights_before_its_first_pod(make_pool: MakePool) -> None:
    pool = make_pool()
    for _ in range(2):
        await pool.look()
    assert pool.access.asked == ["pynenc-worker"]
    make_pool(template={"spec": {"serviceAccountName": "own"}})
    for _ in range(2):
        await pool.look()
    assert pool.access.asked == ["pynenc-worker", "own"]


async def test_the_only_worker_that_is_killed_is_recovered_by_the_next_one(
    make_pool: MakePool, crd_installed: HalfCluster
) -> None:
    pool = make_pool(idleTimeoutSeconds=1)
    pool.depths.depth = 1
    await pool.look()
    pool.depths.depth = 0
    await pool.report("reports-0", "active", threads=1)
    await pool.kill("reports-0")
    await pool.look()
    assert await pool.names() == ["reports-0", "reports-1"]
    assert await pool.condition("RecoveryPending") == ("True", "WorkerDied")
    assert (await pool.status())["lastScaleReason"] == "WorkerDied"

    [dead, _] = [pod["metadata"]["uid"] for pod in await pool.all()]
    await pool.report("reports-1", "idle", idle_for=60)
    await pool.look()
    assert (await pool.annotations("reports-1"))["pynenc.org/recover-runners"] == dead
    await pool.look()
    assert await pool.names() == ["reports-0", "reports-1"]  # who recovers stays

    await pool.annotate("reports-1", recovered_runners=dead)
    await pool.look()
    assert (await pool.annotations("reports-0"))["pynenc.org/recovered-by"] == "reports-1"
    await pool.look()
    assert "pynenc.org/recover-runners" not in await pool.annotations("reports-1")
    assert "RecoveryPending" not in {found["type"] for found in (await pool.status())["conditions"]}
    await pool.look()
    assert await pool.asked_to_leave() == ["reports-1"]
    await pool.report("reports-1", "drained")
    await pool.look()
    assert await pool.names() == ["reports-0"]  # it failed: it stays for `kubectl logs`, and recovers no more
    said = crd_installed.kubectl("get", "events.events.k8s.io", "-n", pool.key.namespace, "-o", "json").stdout
    reasons = [(event["reason"], event["action"]) for event in json.loads(said)["items"]]
    assert reasons.count(("WorkerDied", "Recover")) == 1
    assert reasons.count(("Recovered", "Recover")) == 1


async def test_what_the_backend_calls_held_at_zero_starts_one_worker(make_pool: MakePool) -> None:
    pool = make_pool(idleTimeoutSeconds=1)
    pool.depths.orphaned = 2
    await pool.look()
    assert await pool.names() == ["reports-0"]
    assert (await pool.status())["orphans"]["count"] == 2
    assert await pool.condition("RecoveryPending") == ("True", "OrphanedInvocations")
    await pool.report("reports-0", "idle", idle_for=60)
    await pool.look()
    assert await pool.asked_to_leave() == []
    pool.depths.orphaned = 0
    pool.skew += 60
    await pool.look()
    assert await pool.asked_to_leave() == ["reports-0"]
    assert "orphans" not in await pool.status()


async def test_orphans_that_were_given_up_come_back_when_their_number_changes(make_pool: MakePool) -> None:
    pool = make_pool()
    pool.depths.orphaned = 2
    given_up = {"count": 2, "since": rfc3339(pool.now() - 3600), "givenUp": True}
    spec = (await pool.runner())["spec"]
    await pool.kube.patch_runner_status(*pool.key, {"orphans": given_up}, spec)
    await pool.look()
    assert (await pool.names(), (await pool.status())["orphans"]) == ([], given_up)
    pool.depths.orphaned = 3
    pool.skew += 130
    await pool.look()
    assert await pool.names() == ["reports-0"]
    found = (await pool.status())["orphans"]
    assert (found["count"], found["givenUp"]) == (3, False)


async def test_an_outage_lasts_since_its_first_leader_saw_it_begin(make_pool: MakePool) -> None:
    pool = make_pool(onBrokerDown={"action": "Replicas", "replicas": 2, "afterSeconds": 60})
    pool.depths.depth, pool.depths.now = None, pool.now()
    await pool.look()
    assert await pool.names() == []
    pool.restart()
    pool.skew += 60
    pool.depths.depth, pool.depths.now = None, pool.now()
    await pool.look()
    assert await pool.names() == ["reports-0", "reports-1"]


async def test_a_runner_that_is_being_deleted_leaves_no_frozen_series(
    make_pool: MakePool, crd_installed: HalfCluster
) -> None:
    pool = make_pool()
    await pool.look()
    assert len(pool.reconciler.table.items()) == 1
    held = json.dumps({"metadata": {"finalizers": ["test.example/held"]}})
    runner = ("mtr", "reports", "-n", pool.key.namespace)
    crd_installed.kubectl("patch", *runner, "--type=merge", "-p", held)
    crd_installed.kubectl("delete", *runner, "--wait=false")
    assert await pool.look() is None
    assert len(pool.reconciler.table.items()) == 0
    crd_installed.kubectl("patch", *runner, "--type=merge", "-p", json.dumps({"metadata": {"finalizers": None}}))


@pytest.mark.parametrize(
    ("spec", "seconds"), [({}, REST_SECONDS), ({"idleTimeoutSeconds": 7, "pollIntervalSeconds": 60}, AGAIN_SECONDS)]
)
async def test_a_spec_that_the_answer_to_a_status_write_brings_first_is_looked_at_soon(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, spec: dict[str, int], seconds: float
) -> None:
    pool = make_pool()
    monkeypatch.setattr(pool.depths, "will_tell", lambda _: True)
    pool.runners.put(await pool.runner())
    make_pool(**spec)  # the watch is late with it, and will show no more than the answer has
    assert await pool.reconciler.reconcile(pool.key) == seconds
    assert (await pool.status())["observedGeneration"] == 1
