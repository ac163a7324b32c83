"""Every version of a runner's pods that the API server has shown, by a watch: what polling would miss."""

import json
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pynenc_operator import labels
from pynenc_worker import contract
from tests.e2e.kubernetes import PATIENCE

type Json = dict[str, Any]

LONGEST = 7200  # seconds that the watch lasts: longer than any run, as what has not changed for long can't be resumed
WORKERS = f"{labels.MANAGED_BY}={labels.MANAGED_BY_US}"


@dataclass(frozen=True)
class Seen:
    """One version of one pod."""

    at: float  # Unix seconds, when it was seen
    name: str
    uid: str
    state: str  # what the worker says of itself; empty before its first report
    asked: str  # the drain request, empty if none
    answer: str
    terminating: bool
    ended: bool
    gone: bool  # the last one: the pod is no more

    @property
    def live(self) -> bool:
        return not (self.terminating or self.ended or self.gone)

    def __str__(self) -> str:
        marks = [word for word in ("terminating", "ended", "gone") if getattr(self, word)]
        clock = time.strftime("%H:%M:%S", time.localtime(self.at)) + f".{int(self.at % 1 * 1000):03}"
        return f"{clock} {self.name} {self.state or '-'} asked={self.asked} answer={self.answer} {' '.join(marks)}"


class PodHistory:
    """What a namespace's worker pods have been since this was made; `chosen` selects others."""

    def __init__(self, namespace: str, chosen: str = WORKERS) -> None:
        self._path = f"/api/v1/namespaces/{namespace}/pods?labelSelector={urllib.parse.quote(chosen, safe='')}"
        self._version = ""  # the resourceVersion of what was seen last
        self._closing = threading.Event()
        self._seen: list[Seen] = []
        self._news = threading.Condition()
        self._failed = ""
        self._watch = self._begin()
        self._thread = threading.Thread(target=self._read, name=f"history-{namespace}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._watch.terminate()
        self._thread.join(10)

    def all(self) -> list[Seen]:
        with self._news:
            assert not self._failed, f"the watch of the pods has failed: {self._failed}"
            return list(self._seen)

    def wait_for(
        self, condition: Callable[[Seen], bool], what: str, *, since: int = 0, seconds: float = PATIENCE
    ) -> Seen:
        """The first version from number `since` on that is so, the moment it is shown."""
        deadline = time.monotonic() + seconds
        number = since
        while True:
            with self._news:
                assert not self._failed, f"the watch of the pods has failed: {self._failed}"
                for seen in self._seen[number:]:
                    if condition(seen):
                        return seen
                number = len(self._seen)
                left = deadline - time.monotonic()
                assert left > 0, f"not within {seconds:.0f} s: {what}"
                self._news.wait(left)

    def peak(self, *, since: int = 0) -> int:
        """The most pods that were live at a time, of the versions from number `since` on."""
        return max((len(live) for live in crowds(self.all()[since:])), default=0)

    def uids(self) -> set[str]:
        return {seen.uid for seen in self.all()}

    def interrupted(self) -> list[str]:
        """Pods that were deleted after their first report and before they said that they had drained."""
        return [str(seen) for seen in self.interruptions()]

    def interruptions(self) -> list[Seen]:
        """The same as they were seen first when they were being deleted."""
        first: dict[str, Seen] = {}
        for seen in self.all():
            if seen.terminating:
                first.setdefault(seen.uid, seen)
        drained = contract.WorkerState.DRAINED
        return [s for s in first.values() if s.state and not (s.state == drained and s.asked == s.answer)]

    def _begin(self) -> subprocess.Popen[str]:
        since = f"&resourceVersion={self._version}" if self._version else ""
        watched = f"{self._path}&watch=true&timeoutSeconds={LONGEST}{since}"
        command = ["kubectl", "get", "--raw", watched]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def _read(self) -> None:
        """Follow the watch, and go on where it broke off when the API server was away."""
        while True:
            with self._watch as watch:
                assert watch.stdout
                for line in watch.stdout:
                    self._take(json.loads(line))
            if self._closing.wait(0.5) or self._failed:
                return
            self._watch = self._begin()
            if self._closing.is_set():  # close() may have ended the one before
                self._watch.terminate()

    def _take(self, event: Json) -> None:
        with self._news:
            if event["type"] == "ERROR":  # what came since then is not known any more
                self._failed = str(event["object"].get("message"))
            else:
                self._version = event["object"]["metadata"]["resourceVersion"]
                self._seen.append(_seen(event["type"], event["object"]))
            self._news.notify_all()


def crowds(history: Iterable[Seen]) -> Iterator[list[Seen]]:
    """The live pods after each version."""
    live: dict[str, Seen] = {}
    for seen in history:
        if seen.live:
            live[seen.uid] = seen
        else:
            live.pop(seen.uid, None)
        yield [*live.values()]


def _seen(kind: str, pod: Json) -> Seen:
    meta = pod["metadata"]
    notes = meta.get("annotations", {})
    return Seen(
        at=time.time(),
        name=meta["name"],
        uid=meta["uid"],
        state=notes.get(contract.WORKER_STATE, ""),
        asked=notes.get(contract.DRAIN_REQUEST, ""),
        answer=notes.get(contract.DRAIN_ANSWER, ""),
        terminating="deletionTimestamp" in meta,
        ended=pod["status"].get("phase") in {"Succeeded", "Failed"},
        gone=kind == "DELETED",
    )
