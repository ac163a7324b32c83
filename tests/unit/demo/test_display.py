import io

import pytest
from rich.console import Console

from examples.demo import display as module
from examples.demo.display import Display, figures, table
from tests.unit.demo.lines import Feed, event, pod


def busy() -> Feed:
    feed = Feed()
    feed.log(100.1, {"enqueued": ["x", "y", "z"], "begun": 100.0, "ended": 100.05})
    feed.pods(100.4, pod("ADDED", "reports-0", "active"), pod("ADDED", "reports-1"))
    feed.runner(100.5, desiredReplicas=2, lastScaleReason="QueueDepth")
    feed.events(100.5, event("e1", "1970-01-01T00:01:41Z"))
    feed.log(102.0, {"execution": {"name": "x", "pod": "reports-0", "started": 101.5}})
    feed.log(102.6, {"final": "x", "status": "success", "at": 102.5}, {"at": 102.6, "queued": 1})
    return feed


def test_a_line_says_queue_pods_desired_and_done() -> None:
    assert figures(busy().seen) == "queued 1  pods 1 starting, 1 active  desired 2  done 1/3"
    assert figures(Feed().seen) == "queued unknown  pods none  desired unknown  done 0/0"


def test_the_table_shows_the_pool_the_queue_and_why() -> None:
    console = Console(file=io.StringIO(), width=120, record=True)
    console.print(table(busy().seen, 10, 103.0))
    shown = console.export_text()
    for text in ("queued", "terminating", "1/3", "2 s ago", "QueueDepth", "note of e1", "3.0 s after the enqueue"):
        assert text in shown


def test_without_a_terminal_a_line_is_printed_only_when_something_changed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINE_INTERVAL", 0.0)
    feed = busy()
    with Display(10) as display:
        display.show(feed.seen)
        display.show(feed.seen)
        feed.pods(103.0, pod("MODIFIED", "reports-1", "idle"))
        display.show(feed.seen)
    first, second = capsys.readouterr().out.splitlines()
    assert "QueueDepth: note of e1" in first
    assert "1 idle, 1 active" in second
    assert "note of e1" not in second


def test_lines_are_at_least_a_second_apart_but_the_last_one_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    feed = busy()
    with Display(10) as display:
        display.show(feed.seen)
        feed.pods(103.0, pod("MODIFIED", "reports-1", "idle"))
        display.show(feed.seen)
        assert len(capsys.readouterr().out.splitlines()) == 1
        display.show(feed.seen, last=True)
        display.show(feed.seen, last=True)
    assert "1 idle, 1 active" in capsys.readouterr().out
