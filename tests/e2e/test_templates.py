"""A changed template, one that can't start, and a quota: no working pod is given up for a pod that does not work."""

import json
import time

import pytest

from tests.e2e.kubernetes import get, wait_until
from tests.e2e.pool import Pool

WORKING = "localhost/pynenc-demo:dev"
HANGS = "import time; time.sleep(1_000_000)"
GREEN = {"name": "COLOUR", "value": "green"}


def images(pool: Pool) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in pool.pods().values()}


def test_a_template_changes_while_three_are_busy_and_every_task_runs_once(pool: Pool) -> None:
    pool.apply(minReplicas=3, maxReplicas=3)
    pool.enqueue(*(("long", 20.0, f"l{n}") for n in range(3)))
    pool.until_begun("l0", "l1", "l2")
    pool.change(env=[GREEN])
    pool.until_succeeded()

    def replaced() -> bool:
        environments = [pod["spec"]["containers"][0]["env"] for pod in pool.pods().values()]
        return all(GREEN in environment for environment in environments) and pool.states() == ["idle"] * 3

    wait_until(replaced, "three new pods serve")
    assert "TemplateChanged" in {reason for reason, _, _ in pool.events()}


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


@pytest.mark.slow
def test_a_broken_image_is_tried_rarely(pool: Pool) -> None:
    pool.apply(image="localhost/no-such-image:dev", startDeadlineSeconds=10, failedPodsHistoryLimit=0)
    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(3)))
    wait_until(lambda: pool.status().get("failures", {}).get("count"), "the first wave fails")
    first = len(pool.history.uids())
    time.sleep(180)
    assert first == 3
    assert len(pool.history.uids()) - first <= 5
    assert pool.condition("Progressing") == ("False", "ImagePullBackOff")
    pool.change(image=WORKING)
    pool.until_succeeded()


def test_an_import_that_hangs_holds_the_only_place_no_longer_than_its_deadline(pool: Pool) -> None:
    code = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}, "data": {"hanging.py": HANGS}}
    pool.kubectl("apply", "-f", "-", input=json.dumps(code))
    mounted = {
        "volumes": [{"name": "code", "configMap": {"name": "code"}}],
        "containers": [{"name": "worker", "volumeMounts": [{"name": "code", "mountPath": "/code"}]}],
    }
    pool.apply(
        app="hanging",
        maxReplicas=1,
        startDeadlineSeconds=15,
        env=[{"name": "PYTHONPATH", "value": "/code"}],
        template={"spec": mounted},
    )
    pool.enqueue(("short", 0.5, "task"))
    pool.history.wait_for(lambda seen: seen.terminating, "the silent pod is deleted")
    assert pool.history.peak() == 1
    wait_until(lambda: pool.condition("Progressing")[0] == "False", "the condition says that pods fail")
    pool.change(app="reports.tasks", env=None, template=None)
    pool.until_succeeded()


def test_a_template_changes_under_a_full_quota(pool: Pool) -> None:
    pool.apply(minReplicas=2, maxReplicas=4)
    pool.until_states("idle", "idle")
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "3"}}}
    pool.kubectl("apply", "-f", "-", input=json.dumps(quota))
    wait_until(lambda: get("resourcequota", "q", "-n", pool.namespace).get("status", {}).get("used"), "it is counted")
    before = set(pool.history.uids())
    pool.change(env=[GREEN])
    wait_until(lambda: len(pool.history.uids() - before) >= 2 and pool.states() == ["idle"] * 2, "both are new", 180)
    assert pool.history.interrupted() == []


def test_a_full_quota_limits_and_its_mending_is_enough(pool: Pool) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "3"}}}
    pool.kubectl("apply", "-f", "-", input=json.dumps(quota))
    wait_until(lambda: get("resourcequota", "q", "-n", pool.namespace).get("status", {}).get("used"), "it is counted")
    pool.apply(minReplicas=4)
    wait_until(lambda: pool.condition("ScalingLimited") == ("True", "QuotaExceeded"), "the condition says so")
    assert len(pool.pods()) == 2  # the third place is Redis's
    assert pool.condition("TemplateValid") == ("True", "Accepted")
    pool.kubectl("delete", "resourcequota", "q")
    wait_until(lambda: len(pool.pods()) == 4, "the pool fills up")
