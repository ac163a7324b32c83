"""The demo as it goes on: a live table on a terminal, elsewhere a line whenever something has changed."""

import sys
import time
from datetime import datetime

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from examples.demo.observed import Observed, PodState

STATES = tuple(state for state in PodState if state is not PodState.ENDED)
_STYLES = {
    PodState.STARTING: "yellow",
    PodState.IDLE: "cyan",
    PodState.ACTIVE: "green",
    PodState.DRAINING: "magenta",
    PodState.TERMINATING: "red",
}
_DOINGS = 8
_LINE_INTERVAL = 1.0  # seconds between two lines, at least
_BAR = 40


class Display:
    """A context manager that shows what is observed; call `show` as often as you like."""

    def __init__(self, max_pods: int) -> None:
        self._max_pods = max_pods
        self._live = Live(auto_refresh=False, transient=False) if sys.stdout.isatty() else None
        self._last = ""
        self._told: set[str] = set()
        self._next = 0.0

    def __enter__(self) -> "Display":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, seen: Observed, *, last: bool = False) -> None:
        """Show it as it is now; for the last time also if a line was printed just before."""
        if self._live:
            self._live.update(table(seen, self._max_pods, time.time()), refresh=True)
            return
        now = time.monotonic()
        if now < self._next and not last:
            return
        text = figures(seen)
        news = [doing for name, doing in seen.doings.items() if name not in self._told]
        if text == self._last and not news:
            return
        self._last, self._next = text, now + _LINE_INTERVAL
        self._told.update(seen.doings)
        done = "; ".join(f"{doing.reason}: {doing.note}" for doing in news)
        print(f"{_elapsed(seen, time.time()):>7}  {text}{'  | ' + done if done else ''}", flush=True)


def figures(seen: Observed) -> str:
    """The pool and the queue in one line."""
    pods = ", ".join(f"{seen.count(state)} {state}" for state in STATES if seen.count(state)) or "none"
    queued = "unknown" if seen.queued is None else seen.queued
    desired = seen.status.get("desiredReplicas", "unknown")
    return f"queued {queued}  pods {pods}  desired {desired}  done {len(seen.finals)}/{len(seen.tasks)}"


def table(seen: Observed, max_pods: int, now: float) -> Group:
    """The pool, the queue, and what the operator did and why."""
    pool = Table(
        title=f"runner reports in namespace demo, {_elapsed(seen, now)} after the enqueue", title_justify="left"
    )
    pool.add_column("queued", justify="right")
    for state in STATES:
        pool.add_column(state, justify="right", style=_STYLES[state])
    pool.add_column("desired", justify="right")
    pool.add_column("done", justify="right")
    pool.add_row(
        "?" if seen.queued is None else str(seen.queued),
        *(str(seen.count(state)) for state in STATES),
        str(seen.status.get("desiredReplicas", "?")),
        f"{len(seen.finals)}/{len(seen.tasks)}",
    )
    doings = Table(title="what the operator did, and why", title_justify="left", show_header=False, box=None)
    for doing in seen.newest_doings(_DOINGS):
        doings.add_row(_ago(doing.at, now), doing.reason, doing.note)
    last = seen.status.get("lastScaleReason", "not scaled yet")
    return Group(pool, _bar("pods ", seen, max_pods), _tasks(seen), Text(f"last scaled for: {last}"), doings)


def _bar(title: str, seen: Observed, max_pods: int) -> Text:
    """A block for each pod, coloured by its state."""
    text = Text(title)
    for state in STATES:
        text.append("█ " * seen.count(state), style=_STYLES[state])
    text.append("· " * max(0, max_pods - len(seen.pods)), style="dim")
    return text


def _tasks(seen: Observed) -> Text:
    """How many tasks are done, running, and waiting, to scale."""
    total = max(1, len(seen.tasks))
    done = len(seen.finals)
    running = max(0, len(seen.executions) - done)
    text = Text("tasks ")
    text.append("█" * (done * _BAR // total), style="blue")
    text.append("█" * (running * _BAR // total), style="green")
    return text.append("·" * max(0, _BAR - done * _BAR // total - running * _BAR // total), style="dim")


def _elapsed(seen: Observed, now: float) -> str:
    return "0.0 s" if seen.begun is None else f"{max(0.0, now - seen.begun - seen.skew):.1f} s"


def _ago(at: str, now: float) -> str:
    try:
        seconds = now - datetime.fromisoformat(at).timestamp()
    except ValueError:
        return ""
    return f"{max(0.0, seconds):.0f} s ago"
