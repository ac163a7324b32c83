"""What is made of the answers at the end of a long run."""

from tests.e2e.history import Seen
from tests.soak.facts import Execution
from tests.soak.questions import excess, executions


def test_a_record_that_was_written_twice_is_one_execution_and_a_second_run_another_one() -> None:
    first = {"task": "short", "name": "short-1", "pod": "reports-0", "started": 10.5}
    second = first | {"started": 30.0}
    assert executions([second, first, first]) == [
        Execution("short-1", "reports-0", 10.5),
        Execution("short-1", "reports-0", 30.0),
    ]


def test_the_pods_are_told_of_the_first_moment_at_which_there_were_too_many() -> None:
    def pod(name: str, *, ended: bool = False) -> Seen:
        return Seen(0.0, name, name, "active", "", "", terminating=False, ended=ended, gone=False)

    assert excess([pod("a"), pod("a", ended=True), pod("b"), pod("c")], 2) == []
    assert [line.split()[1] for line in excess([pod("a"), pod("b"), pod("c"), pod("d")], 2)] == ["a", "b", "c"]
