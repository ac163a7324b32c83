"""Rule 8: who recovers what dead workers held, an example for each case."""

from dataclasses import replace
from typing import Any

import pytest

from pynenc_operator.decision import Decision, Mark, Name
from pynenc_operator.model import Orphans, WorkerPod
from pynenc_operator.reason import Reason
from pynenc_operator.recovery import ANSWER_SECONDS, MOST_NAMED, ORPHANS_SECONDS, searched_for
from pynenc_operator.runnerspec import Mode, RunnerSpec
from pynenc_operator.scaling import decide
from pynenc_worker.contract import WorkerState
from tests.unit.operator.builders import NOW, active, idle, pod, reporting, seen

AT_ZERO = RunnerSpec()


def dead(name: str, **fields: Any) -> WorkerPod:
    """A worker that was killed 5 s ago under its task, in a pod that is 10 minutes old."""
    times: dict[str, Any] = {"created": NOW - 600, "started_at": NOW - 590, "ended_at": NOW - 5}
    ended: dict[str, Any] = {"ended": True, "container_ended": True, "failed": True}
    return reporting(name, WorkerState.ACTIVE, threads=1, **ended, **times, **fields)


def named(decision: Decision) -> dict[str, tuple[str, ...]]:
    return {step.pod.name: step.runner_ids for step in decision.recovery if isinstance(step, Name)}


def test_a_worker_is_started_for_the_dead_even_when_nothing_is_queued() -> None:
    decision = decide(AT_ZERO, seen(dead("a")), NOW)
    assert decision.create is not None
    assert (decision.create.count, decision.create.reason) == (1, Reason.WORKER_DIED)
    assert (decision.deletes, decision.unrecovered) == ((), ("uid-a",))


def test_the_dead_are_named_on_a_living_worker_that_stays_until_it_answers() -> None:
    first = decide(AT_ZERO, seen(dead("a"), idle("b", 999)), NOW)
    assert named(first) == {"b": ("uid-a",)}
    assert (first.create, first.drains, first.deletes) == (None, (), ())
    waiting = decide(AT_ZERO, seen(dead("a"), idle("b", 999, recover=("uid-a",))), NOW)
    assert not waiting.acts
    assert waiting.unrecovered == ("uid-a",)


def test_an_answer_is_written_on_the_dead_pod_before_its_name_is_taken_off() -> None:
    answered: dict[str, Any] = {"recover": ("uid-a",), "recovered": ("uid-a",)}
    first = decide(AT_ZERO, seen(dead("a"), active("b", **answered)), NOW)
    assert first.recovery == (Mark(dead("a"), "b"),)
    assert (first.deletes, first.unrecovered) == ((), ())
    second = decide(AT_ZERO, seen(dead("a", recovered_by="b"), active("b", **answered)), NOW)
    assert named(second) == {"b": ()}
    assert second.deletes == ()  # it failed: it stays for `kubectl logs`


def test_a_recovered_pod_is_not_recovered_again_when_its_recoverer_is_gone() -> None:
    decision = decide(AT_ZERO, seen(dead("a", recovered_by="b")), NOW)
    assert not decision.acts
    assert decision.unrecovered == ()


def test_what_a_recoverer_did_not_get_done_passes_to_the_next() -> None:
    decision = decide(AT_ZERO, seen(dead("b", recover=("uid-a",)), idle("c")), NOW)
    assert named(decision) == {"c": ("uid-b", "uid-a")}


def test_one_worker_recovers_all_and_no_more_at_a_time_than_its_answer_holds() -> None:
    many = tuple(f"uid-{number}" for number in range(MOST_NAMED + 5))
    decision = decide(AT_ZERO, seen(idle("a"), idle("b", recover=("x",)), vanished=many), NOW)
    assert named(decision) == {"b": ("x", *many[: MOST_NAMED - 1])}


def test_who_never_reported_and_who_drained_left_nothing_behind() -> None:
    crashed = pod("a", container_started=True, ended=True, failed=True, ended_at=NOW - 300)
    drained = reporting("b", WorkerState.DRAINED, ended=True, container_ended=True, ended_at=NOW - 300)
    decision = decide(AT_ZERO, seen(crashed, drained), NOW)
    assert (decision.create, decision.recovery, decision.unrecovered) == (None, (), ())
    assert [step.pod.name for step in decision.deletes] == ["b"]


def test_a_vanished_worker_is_named_as_well() -> None:
    decision = decide(AT_ZERO, seen(idle("b"), vanished=("uid-gone",)), NOW)
    assert named(decision) == {"b": ("uid-gone",)}


@pytest.mark.parametrize(
    "spec", [RunnerSpec(pin=0), RunnerSpec(mode=Mode.PAUSED), RunnerSpec(max_replicas=0)], ids=["pin", "paused", "max"]
)
def test_a_pin_of_zero_and_a_pause_start_nothing_but_say_what_waits(spec: RunnerSpec) -> None:
    decision = decide(spec, seen(dead("a")), NOW)
    assert (decision.acts, decision.unrecovered) == (False, ("uid-a",))


def test_orphans_keep_or_start_one_worker_until_they_are_given_up() -> None:
    orphans, given_up = Orphans(2, NOW - 9 * ORPHANS_SECONDS), Orphans(2, NOW - 9 * ORPHANS_SECONDS, given_up=True)
    started = decide(AT_ZERO, seen(orphans=orphans), NOW)
    assert started.create is not None
    assert (started.create.count, started.create.reason) == (1, Reason.ORPHANS)
    assert not decide(AT_ZERO, seen(idle("a", 999), orphans=orphans), NOW).acts
    assert decide(AT_ZERO, seen(idle("a", 999), orphans=given_up), NOW).drains
    assert not decide(AT_ZERO, seen(orphans=given_up), NOW).acts


def test_orphans_are_searched_for_when_a_worker_was_heard_of_for_a_quarter_of_an_hour_since() -> None:
    long_ago = NOW - 9 * ORPHANS_SECONDS
    just_enough = NOW - ORPHANS_SECONDS
    assert searched_for(Orphans(2, long_ago), [NOW, just_enough], NOW)
    assert searched_for(Orphans(2, just_enough), [long_ago], NOW)
    assert not searched_for(Orphans(2, long_ago), [just_enough + 1], NOW)
    assert not searched_for(Orphans(2, just_enough + 1), [long_ago], NOW)
    assert not searched_for(Orphans(2, long_ago), [], NOW)  # nobody could come


def test_what_a_dead_recoverer_had_not_done_is_settled_with_it() -> None:
    """b was to recover a and died; c has recovered both. b's list is history, and a is not named again."""
    history = dead("b", recover=("uid-a",), recovered_by="c")
    decision = decide(AT_ZERO, seen(dead("a", recovered_by="c"), history, idle("c")), NOW)
    assert (decision.recovery, decision.unrecovered) == ((), ())
    assert not decide(AT_ZERO, seen(history), NOW).acts


def test_a_dead_recoverer_is_marked_only_when_its_own_names_stand_elsewhere() -> None:
    recoverer = dead("b", recover=("uid-gone",))
    answered: dict[str, Any] = {"recover": ("uid-b",), "recovered": ("uid-b",)}
    first = decide(AT_ZERO, seen(recoverer, idle("c", **answered)), NOW)
    assert named(first) == {"c": ("uid-b", "uid-gone")}
    assert not [step for step in first.recovery if isinstance(step, Mark)]
    both: dict[str, Any] = {"recover": ("uid-b", "uid-gone"), "recovered": ("uid-b",)}
    second = decide(AT_ZERO, seen(recoverer, idle("c", **both)), NOW)
    assert second.recovery == (Mark(recoverer, "c"),)


def test_an_answer_for_whom_a_dead_recoverer_was_to_settle_stands_until_that_one_is_settled() -> None:
    recoverer = dead("d", recover=("uid-x",))
    both: dict[str, Any] = {"recover": ("uid-x", "uid-d"), "recovered": ("uid-x",)}
    waiting = decide(AT_ZERO, seen(recoverer, idle("r", **both)), NOW)
    assert (waiting.recovery, waiting.unrecovered) == ((), ("uid-d",))
    both["recovered"] = ("uid-x", "uid-d")
    assert decide(AT_ZERO, seen(recoverer, idle("r", **both)), NOW).recovery == (Mark(recoverer, "r"),)
    settled = seen(replace(recoverer, recovered_by="r"), idle("r", **both))
    assert named(decide(AT_ZERO, settled, NOW)) == {"r": ()}


def test_a_worker_that_does_not_answer_for_ten_minutes_is_not_the_only_one_asked() -> None:
    hanging = idle("b", 999, recover=("uid-a",))
    patient = seen(dead("a"), hanging, recovery_since=NOW - ANSWER_SECONDS)
    assert not decide(AT_ZERO, patient, NOW).acts
    late = replace(patient, recovery_since=NOW - ANSWER_SECONDS - 1)
    decision = decide(AT_ZERO, late, NOW)
    assert decision.create is not None
    assert decision.create.count == 1
    assert named(decide(AT_ZERO, replace(late, pods=(*late.pods, idle("c"))), NOW)) == {"c": ("uid-a",)}
    outage = replace(late, depth=None)
    assert not decide(AT_ZERO, outage, NOW).acts


def test_a_worker_is_never_named_on_itself() -> None:
    assert not decide(AT_ZERO, seen(idle("b"), vanished=("uid-b",)), NOW).recovery
