"""A changed template, one that can't start, and a quota: no working pod is given up for a pod that does not work."""

import json

import pytest

from tests.e2e.kubernetes import Json, get, wait_until
from tests.e2e.pool import NAME, Pool
from tests.e2e.together import side_by_side

WORKING = "localhost/pynenc-demo:dev"
GREEN = {"name": "COLOUR", "value": "green"}


def images(pool: Pool) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in pool.pods().values()}


def accounts(pool: Pool) -> set[str]:
    return {pod["spec"]["serviceAccountName"] for pod in pool.pods().values()}


def green(pool: Pool) -> list[bool]:
    return [GREEN in pod["spec"]["containers"][0]["env"] for pod in pool.pods().values()]


def stranger(name: str) -> str:
    """A pod that is nobody's, and never runs."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
    container = {"name": "stranger", "image": WORKING, "securityContext": security}
    spec: Json = {"containers": [container], "nodeSelector": {"there": "is-none"}}
    spec["securityContext"] = {"seccompProfile": {"type": "RuntimeDefault"}}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def fill_quota(pool: Pool) -> None:
    """Let the namespace have three pods; Redis is the first of them."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "3"}}}
    pool.kubectl("apply", "-f", "-", input=json.dumps(quota))
    wait_until(lambda: get("resourcequota", "q", "-n", pool.namespace).get("status", {}).get("used"), "it is counted")


@side_by_side
def test_a_template_changes_while_three_are_busy_and_every_task_runs_once(pool: Pool) -> None:
    pool.apply(minReplicas=3, maxReplicas=3)
    pool.enqueue(*(("long", 20.0, f"l{n}") for n in range(3)))
    pool.until_begun("l0", "l1", "l2")
    pool.change(env=[GREEN])
    pool.until_succeeded()
    wait_until(lambda: green(pool) == [True] * 3 and pool.states() == ["idle"] * 3, "three new pods serve")
    assert "TemplateChanged" in {reason for reason, _, _ in pool.events()}


@pytest.mark.fault("cluster", "a template with a broken image while three are busy, then mended")
@side_by_side
def test_a_broken_image_takes_no_working_pod_away_and_a_mended_one_recovers_by_itself(pool: Pool) -> None:
    pool.apply(minReplicas=1, maxReplicas=2)
    pool.until_states("idle")
    pool.change(image="localhost/no-such-image:dev")
    wait_until(lambda: pool.condition("Progressing") == ("False", "ImagePullBackOff"), "the condition says why")
    pool.enqueue(("short", 0.5, "served-meanwhile"))
    pool.until_succeeded()
    assert WORKING in images(pool)
    assert len(pool.pods()) <= 2
    pool.change(image=WORKING)
    wait_until(lambda: pool.condition("Progressing") == ("True", "UpToDate"), "all is well again")
    wait_until(lambda: images(pool) == {WORKING}, "the broken pod is gone")


@side_by_side
def test_queues_that_the_images_pynenc_does_not_have_are_a_condition_and_without_them_all_is_well(pool: Pool) -> None:
    pool.apply(minReplicas=1)
    pool.until_states("idle")
    pool.change(queues=["gpu"])
    wait_until(lambda: pool.condition("TemplateValid") == ("False", "QueuesUnsupported"), "the condition says why")
    assert pool.condition("Progressing") == ("False", "QueuesUnsupported")
    assert "this image has 0.3" in pool.said("Progressing")  # the worker's last words, by way of the kubelet
    pool.change(queues=None)
    wait_until(lambda: pool.condition("TemplateValid") == ("True", "Accepted"), "all is well again")
    pool.enqueue(("short", 0.5, "served"))
    pool.until_succeeded()


@pytest.mark.fault("cluster", "a ResourceQuota below what is needed, then raised")
@side_by_side
def test_a_full_quota_limits_and_its_mending_is_enough(pool: Pool) -> None:
    fill_quota(pool)
    pool.apply(minReplicas=4)
    wait_until(lambda: pool.condition("ScalingLimited") == ("True", "QuotaExceeded"), "the condition says so")
    assert len(pool.pods()) == 2  # the third place is Redis's
    assert pool.condition("TemplateValid") == ("True", "Accepted")
    pool.kubectl("delete", "resourcequota", "q")
    wait_until(lambda: len(pool.pods()) == 4, "the pool fills up")


@side_by_side
def test_a_template_changes_under_a_full_quota_by_one_old_pod_making_room(pool: Pool) -> None:
    fill_quota(pool)
    pool.apply(minReplicas=2, maxReplicas=2)
    pool.until_states("idle", "idle")
    pool.enqueue(("long", 10.0, "long"))
    pool.until_begun("long")
    pool.change(env=[GREEN])
    wait_until(lambda: green(pool) == [True, True] and pool.states() == ["idle", "idle"], "two new pods serve", 180)
    pool.until_succeeded()
    assert pool.history.interrupted() == []
    assert pool.history.peak() == 2


@side_by_side
def test_workers_may_have_an_account_and_a_secret_of_their_own_and_a_taken_name_is_left_out(pool: Pool) -> None:
    pool.kubectl("create", "-f", "-", input=stranger(f"{NAME}-0"))
    pool.kubectl("create", "serviceaccount", "own")
    pool.kubectl("create", "secret", "generic", "redis-url", "--from-literal=url=redis://redis:6379")
    source = {"secretKeyRef": {"name": "redis-url", "key": "url"}}
    pool.apply(minReplicas=1, backend={"redis": {"urlFrom": source}})
    pool.until_states("idle")
    assert set(pool.pods()) == {f"{NAME}-1"}
    pool.change(template={"spec": {"serviceAccountName": "own"}})
    wait_until(lambda: accounts(pool) == {"own"} and pool.states() == ["idle"], "the new account may report")
