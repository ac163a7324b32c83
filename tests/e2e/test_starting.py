"""Pods that are slow to start, hang, or fail: neither too many are made nor is anybody needed to go on."""

import time

import pytest

from tests.e2e import usercode
from tests.e2e.kubernetes import kubectl, wait_until
from tests.e2e.pool import Pool
from tests.e2e.together import side_by_side

WORKING = "localhost/pynenc-demo:dev"
MISSING = "localhost/no-such-image:dev"
PENDING_SECONDS = 30
# Long enough for the tries after 5, 20 and 80 s.
TRIES_SECONDS = 120
MOST_TRIES = 5


@pytest.mark.fault("cluster", "pods pending for half a minute")
@pytest.mark.slow
@side_by_side
def test_pods_that_are_pending_for_half_a_minute_are_waited_for_and_no_more_are_made(pool: Pool) -> None:
    label = f"example.com/{pool.namespace}"
    pool.apply(template={"spec": {"nodeSelector": {label: "yes"}}})
    pool.enqueue(*(("short", 2.0, f"s{n}") for n in range(3)))
    wait_until(lambda: len(pool.pods()) == 3, "a pod for each task")
    time.sleep(PENDING_SECONDS)
    assert len(pool.history.uids()) == 3
    assert pool.condition("Progressing") == ("False", "Unschedulable")
    assert pool.queue.executions() == {}
    kubectl("label", "node", "--all", f"{label}=yes")
    pool.until_succeeded()
    pool.until_gone()
    assert len(pool.history.uids()) == 3
    assert pool.condition("Progressing") == ("True", "UpToDate")


@pytest.mark.fault("workers", "user code that hangs at import, then mended")
@pytest.mark.slow
@side_by_side
def test_a_hanging_import_at_a_maximum_of_one_recovers_by_itself_once_it_is_mended(pool: Pool) -> None:
    usercode.write(pool, usercode.HANGS)
    pool.apply(maxReplicas=1, startDeadlineSeconds=20, idleTimeoutSeconds=90, template=usercode.template())
    pool.enqueue(("short", 0.5, "waits"))
    wait_until(lambda: pool.condition("Ready") == ("False", "PodsFail"), "the runner says that its pods fail")
    assert pool.condition("ScalingLimited")[0] == "True"
    usercode.write(pool, usercode.WORKING)  # the runner is not touched
    pool.until_succeeded()
    assert pool.history.peak() == 1
    wait_until(lambda: pool.condition("Progressing") == ("True", "UpToDate"), "a pod that has lived a minute proves it")


@pytest.mark.fault("workers", "user code that dies at import, then mended")
@pytest.mark.slow
@side_by_side
def test_an_image_that_crashes_at_import_is_tried_rarely_and_starts_no_recovery(pool: Pool) -> None:
    usercode.write(pool, usercode.CRASHES)
    pool.apply(maxReplicas=3, template=usercode.template())
    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(3)))
    wave = 3
    wait_until(lambda: pool.condition("Progressing")[0] == "False", "the condition says that pods fail")
    assert "exit code 1" in pool.said("Progressing")
    time.sleep(TRIES_SECONDS)
    assert wave < len(pool.history.uids()) <= wave + MOST_TRIES
    assert "Recover" not in {action for _, action, _ in pool.events()}
    assert pool.condition("Ready") == ("False", "PodsFail")
    pool.change(template=None)
    pool.until_succeeded()


@pytest.mark.fault("cluster", "an image that can not be pulled")
@pytest.mark.slow
@side_by_side
def test_an_image_that_is_not_there_is_tried_rarely_and_told_in_the_platforms_words(pool: Pool) -> None:
    pool.apply(maxReplicas=3, image=MISSING, startDeadlineSeconds=20)
    pool.enqueue(*(("short", 0.5, f"s{n}") for n in range(3)))
    wave = 3
    wait_until(lambda: pool.condition("Progressing") == ("False", "ImagePullBackOff"), "the condition says why")
    assert "no-such-image" in pool.said("Progressing")
    time.sleep(TRIES_SECONDS)
    assert wave < len(pool.history.uids()) <= wave + MOST_TRIES
    pool.change(image=WORKING, startDeadlineSeconds=None)
    pool.until_succeeded()
    wait_until(lambda: pool.condition("Progressing") == ("True", "UpToDate"), "all is well again")
