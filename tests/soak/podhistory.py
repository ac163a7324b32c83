"""A pool's pods as a watch shows them, also over an API server's end, after which a watch can't go on where it was."""

import subprocess
import time
from dataclasses import replace
from typing import Any

from pynenc_operator import podspec
from tests.e2e.history import PodHistory
from tests.e2e.kubernetes import read

type Json = dict[str, Any]


class LongPodHistory(PodHistory):
    """Lists the pods anew where the API server does not know any more what came since; else as PodHistory."""

    _lost = False

    def _take(self, event: Json) -> None:
        if event["type"] == "ERROR":
            self._lost = True
            return
        super()._take(event)
        if _has_ended(event["object"]):
            with self._news:
                self._seen[-1] = replace(self._seen[-1], ended=True)

    def _begin(self) -> "subprocess.Popen[str]":
        while self._lost and not self._closing.is_set():
            try:
                self._list()
            except (AssertionError, OSError):  # it is away again
                self._closing.wait(0.5)
        return super()._begin()

    def _list(self) -> None:
        """Take all pods in as they are; those that are not there any more have gone meanwhile."""
        found = read(self._path)
        there = {pod["metadata"]["uid"] for pod in found["items"]}
        with self._news:
            last = {seen.uid: seen for seen in self._seen}
            missed = [seen for seen in last.values() if not seen.gone and seen.uid not in there]
            self._seen += [replace(seen, at=time.time(), gone=True) for seen in missed]
        # In the order in which it may have come about: what is new came after the end of what it is in place of.
        for pod in sorted(found["items"], key=_is_live):
            self._take({"type": "MODIFIED", "object": pod})
        with self._news:
            self._version = found["metadata"]["resourceVersion"]
            self._lost = False
            self._news.notify_all()


def _has_ended(pod: Json) -> bool:
    """Whether its worker has ended: the kubelet says so of the container a second or two before it does of the pod."""
    statuses = pod["status"].get("containerStatuses", ())
    return any("terminated" in one["state"] for one in statuses if one["name"] == podspec.WORKER)


def _is_live(pod: Json) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and not _has_ended(pod)
