"""What a runner's status says, and when it is worth a request."""

from dataclasses import replace
from typing import Any

import pytest

from pynenc_operator.conditions import Facts, Problem, Report
from pynenc_operator.decision import Decision
from pynenc_operator.model import Key, Orphans, QueueDepth, Trouble
from pynenc_operator.pool import classify
from pynenc_operator.reason import Reason
from pynenc_operator.resource import parse_orphans
from pynenc_operator.runnerspec import Mode, RunnerSpec
from pynenc_operator.status import compute_status, learn_start_seconds, patch_for
from tests.unit.operator.builders import NOW, active, idle, seen, starting

SPEC = RunnerSpec()
OK = Facts(template_valid=True)


def report(**fields: Any) -> Report:
    pods = classify(SPEC, seen(active("a"), idle("b", ready=True)), NOW)
    values: dict[str, Any] = {
        "key": Key("shop", "reports"),
        "generation": 3,
        "spec": SPEC,
        "pool": pods,
        "decision": Decision(desired=2, reason=Reason.STEADY),
        "depth": QueueDepth(4, 4),
        "facts": OK,
    }
    return Report(**{**values, **fields})


def condition(status: dict[str, Any], kind: str) -> tuple[str, str]:
    [found] = [c for c in status["conditions"] if c["type"] == kind]
    return found["status"], found["reason"]


def test_a_status_counts_the_pool() -> None:
    status = compute_status({}, report(), NOW)
    assert (status["replicas"], status["readyReplicas"], status["desiredReplicas"]) == (2, 1, 2)
    assert (status["activeReplicas"], status["idleReplicas"], status["drainingReplicas"]) == (1, 1, 0)
    assert (status["queueDepth"], status["observedGeneration"]) == (4, 3)


@pytest.mark.parametrize("orphans", [Orphans(2, NOW), Orphans(2, NOW, given_up=True), None])
def test_orphans_are_read_as_they_were_told(orphans: Orphans | None) -> None:
    assert parse_orphans(compute_status({}, report(orphans=orphans), NOW)) == orphans


@pytest.mark.parametrize(
    ("fields", "ready"),
    [
        ({}, ("True", "Serving")),
        ({"pool": classify(SPEC, seen(), NOW)}, ("True", "AtZero")),
        ({"spec": replace(SPEC, mode=Mode.PAUSED)}, ("False", "Paused")),
        ({"spec": replace(SPEC, mode=Mode.SHADOW)}, ("False", "Shadow")),
        ({"facts": replace(OK, broker=Problem("Timeout", "m"))}, ("False", "BrokerUnreachable")),
        ({"facts": Facts(template=Problem("Rejected", "m"))}, ("False", "TemplateInvalid")),
    ],
)
def test_ready_says_whether_work_would_be_served(fields: dict[str, Any], ready: tuple[str, str]) -> None:
    assert condition(compute_status({}, report(**fields), NOW), "Ready") == ready


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {},
            "2 pods (1 active, 1 idle): idle ones leave after spec.idleTimeoutSeconds, unless the queue needs them",
        ),
        (
            {"pool": classify(SPEC, seen(active("a"), starting("b")), NOW)},
            "2 pods (1 active, 1 coming): the queue or spec.minReplicas has asked for those that come",
        ),
        (
            {"pool": classify(SPEC, seen(active("a")), NOW)},
            "1 pod (1 active): all run tasks, and none is asked to leave before they end",
        ),
        (
            {"pool": classify(SPEC, seen(), NOW)},
            "0 pods: none is needed, the first queued invocation starts one",
        ),
        (
            {"pool": classify(SPEC, seen(), NOW), "decision": Decision(0, Reason.STEADY, limited=Reason.QUOTA)},
            "0 pods: a ResourceQuota of the namespace allows no more pods; raise it or lower spec.maxReplicas",
        ),
        (
            {"decision": Decision(2, Reason.STEADY, limited=Reason.MAX_REPLICAS)},
            "2 pods (1 active, 1 idle): the queue asks for more pods than spec.maxReplicas allows",
        ),
        ({"spec": replace(SPEC, pin=2)}, "2 pods (1 active, 1 idle): spec.replicas pins the pool"),
        (
            {"spec": replace(SPEC, enforce_max_replicas=True)},
            "2 pods (1 active, 1 idle): spec.enforceMaxReplicas keeps the pool full",
        ),
        ({"spec": replace(SPEC, min_replicas=2)}, "2 pods (1 active, 1 idle): spec.minReplicas keeps so many"),
        (
            {"decision": Decision(2, Reason.STEADY, not_consumed=True)},
            "2 pods (1 active, 1 idle): idle workers leave queued work alone: see condition DemandNotConsumed",
        ),
        (
            {"decision": Decision(2, Reason.STEADY, unrecovered=("uid-x",))},
            "2 pods (1 active, 1 idle): what a dead worker held is queued again: see condition RecoveryPending",
        ),
    ],
)
def test_ready_says_in_a_sentence_why_there_are_so_many_pods(fields: dict[str, Any], message: str) -> None:
    [ready] = [c for c in compute_status({}, report(**fields), NOW)["conditions"] if c["type"] == "Ready"]
    assert ready["message"] == message


def test_a_deeper_queue_changes_nothing_in_a_condition() -> None:
    deep, deeper = (compute_status({}, report(depth=QueueDepth(n, n)), NOW) for n in (4, 9))
    assert deep["conditions"] == deeper["conditions"]


def test_an_unknown_depth_is_left_out_and_not_zero() -> None:
    facts = replace(OK, broker=Problem("Unreachable", "m"))
    status = compute_status({}, report(depth=None, facts=facts), NOW)
    assert "queueDepth" not in status
    assert condition(status, "BrokerReachable") == ("False", "Unreachable")


def test_a_transition_time_moves_only_with_the_status() -> None:
    first = compute_status({}, report(), NOW)
    later = compute_status(first, report(facts=replace(OK, broker=Problem("Timeout", "m"))), NOW + 60)
    times = [{c["type"]: c["lastTransitionTime"] for c in s["conditions"]} for s in (first, later)]
    assert times[0]["TemplateValid"] == times[1]["TemplateValid"]
    assert times[0]["Ready"] != times[1]["Ready"]


def test_nothing_new_is_not_written() -> None:
    status = compute_status({}, report(), NOW)
    again = compute_status(status, report(), NOW + 60)
    assert patch_for(status, again, 60) is None


def test_a_queue_depth_alone_waits_but_goes_out_with_other_changes() -> None:
    status = compute_status({}, report(), NOW)
    deeper = {**status, "queueDepth": 9}
    assert patch_for(status, deeper, 9) is None
    assert patch_for(status, deeper, 10) == {"queueDepth": 9}
    assert patch_for(status, {**deeper, "replicas": 3}, 0) == {"queueDepth": 9, "replicas": 3}


def test_what_is_no_longer_known_is_removed() -> None:
    assert patch_for({"queueDepth": 4}, {}, 60) == {"queueDepth": None}


def test_scaling_is_remembered_with_its_reason() -> None:
    scaled = compute_status({}, report(scaled=True, decision=Decision(3, Reason.QUEUE_DEPTH)), NOW)
    assert scaled["lastScaleReason"] == "QueueDepth"
    assert compute_status(scaled, report(), NOW + 60)["lastScaleTime"] == scaled["lastScaleTime"]


@pytest.mark.parametrize(
    ("known", "seen_now", "learned"),
    [(None, 3.04, 4), (3, None, 3), (3, 8.0, 8), (8, 3.0, 7), (4, 3.0, 3), (None, None, None)],
)
def test_a_start_is_learned_as_a_slowly_decaying_maximum(
    known: int | None, seen_now: float | None, learned: int | None
) -> None:
    assert learn_start_seconds(known, seen_now) == learned


@pytest.mark.parametrize(
    ("pynenc", "template_valid"),
    [
        ("0.4.0", ("True", "Accepted")),
        ("0.10.1", ("True", "Accepted")),
        ("1.0rc1", ("True", "Accepted")),
        ("later", ("False", "QueuesUnsupported")),
        ("0.3.1", ("False", "QueuesUnsupported")),
        (None, ("False", "QueuesUnsupported")),  # of a worker's release that did not know of queues
    ],
)
def test_workers_that_lack_the_queues_that_are_named_are_told_of(
    pynenc: str | None, template_valid: tuple[str, str]
) -> None:
    named = replace(SPEC, queues=("gpu",))
    pods = (idle("new", pynenc=pynenc), idle("old", template_hash="t0"))
    status = compute_status({}, report(spec=named, pool=classify(named, seen(*pods), NOW)), NOW)
    assert condition(status, "TemplateValid") == template_valid
    ready = ("True", "Serving") if template_valid[0] == "True" else ("False", "TemplateInvalid")
    assert condition(status, "Ready") == ready
    assert condition(compute_status({}, report(pool=classify(SPEC, seen(*pods), NOW)), NOW), "Ready")[0] == "True"


def test_workers_that_refuse_the_queues_that_are_named_are_told_of() -> None:
    named = replace(SPEC, queues=("gpu",))
    refusal = Trouble("QueuesUnsupported", "spec.queues needs pynenc 0.4, and this image has 0.3.1")
    nobody = classify(named, seen(), NOW)
    status = compute_status({}, report(spec=named, pool=nobody, trouble=refusal), NOW)
    assert condition(status, "TemplateValid") == ("False", "QueuesUnsupported")
    assert condition(status, "Progressing") == ("False", "QueuesUnsupported")
    other = compute_status({}, report(spec=named, pool=nobody, trouble=Trouble("OOMKilled", "")), NOW)
    assert condition(other, "TemplateValid") == ("True", "Accepted")
