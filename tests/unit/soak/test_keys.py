"""Which keys a long run may leave in Redis."""

from collections import Counter

from tests.soak.keys import patterns, unexpected

ONE = "1e0c7cf4-0d9b-4a0e-8d0e-5a2b9d3f0a11"
OTHER = "2e0c7cf4-0d9b-4a0e-8d0e-5a2b9d3f0a11"
STATUS = "__pynenc__:reports:orchestrator:invocation_status:"


def left(*keys: str) -> list[str]:
    return unexpected(patterns(keys), invocations=1, workers=1)


def test_keys_that_differ_by_an_invocation_a_call_or_a_caller_are_of_one_pattern() -> None:
    call = "__pynenc__:reports:orchestrator:call_to_invocation:reports.tasks.short:"
    caller = "__pynenc__:reports:state_backend:runner_context:ExternalRunner@machine-"
    found = patterns([STATUS + ONE, STATUS + OTHER, call + 64 * "a", call + 64 * "b", caller + "12", caller + "13"])
    assert found == Counter(
        {
            STATUS + "ID": 2,
            "__pynenc__:reports:orchestrator:call_to_invocation:TASK:ARGUMENTS": 2,
            "__pynenc__:reports:state_backend:runner_context:CALLER": 2,
        }
    )


def test_one_key_for_each_invocation_may_be_left_and_no_more() -> None:
    assert left(STATUS + ONE, "demo:executions", "__pynenc__:reports:orchestrator:status:success") == []
    assert left(STATUS + ONE, STATUS + OTHER) == [f"2 {STATUS}ID"]


def test_an_invocation_that_is_not_done_and_a_key_of_nobodys_are_told() -> None:
    running, queue = "__pynenc__:reports:orchestrator:status:running", "__pynenc__:reports:broker:default_queue"
    assert left(running) == [f"1 {running}"]
    assert left(queue) == [f"1 {queue}"]
    assert left("mine") == ["1 mine"]
