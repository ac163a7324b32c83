"""What is compared: what makes worker pods for the tasks of a queue, in a namespace with a Redis of its own."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlencode

from tests.e2e.history import WORKERS, PodHistory
from tests.e2e.kubernetes import kubectl, read, wait_until
from tests.e2e.pool import Pool, remove

type Json = dict[str, Any]

AT_MOST = 10  # worker pods of a set-up at a time


class Setup(ABC):
    """One set-up of one side."""

    def __init__(self, name: str, pool: Pool) -> None:
        self.name = name
        self.pool = pool

    @property
    @abstractmethod
    def settings(self) -> Json:
        """What bears on its numbers, for the result."""

    @abstractmethod
    def start(self) -> None:
        """Begin to follow the queue; returns when it does, at zero pods."""

    @abstractmethod
    def stop(self) -> None:
        """Follow it no more; returns at zero pods."""

    def restart(self) -> None:
        """Back to how it was just after its start, for the next try."""
        self.stop()
        self.start()

    def until_zero(self) -> None:
        """Wait until not one worker pod is left, not even on its way out."""
        wait_until(lambda: not self.pods(), f"{self.name} is at zero")

    def until_done(self, tasks: int) -> None:
        """Wait until so many tasks of the whole run have succeeded, each as often as it happened to run."""
        wait_until(lambda: self.pool.queue.succeeded() >= tasks, f"{self.name}: {tasks} tasks succeed")

    def live(self) -> list[Json]:
        """The pods that have not ended."""
        return [pod for pod in self.pods() if pod["status"].get("phase") not in {"Succeeded", "Failed"}]

    def pods(self) -> list[Json]:
        """All pods of the namespace but Redis."""
        path = f"/api/v1/namespaces/{self.pool.namespace}/pods?labelSelector=app.kubernetes.io%2Fname%21%3Dredis"
        found: list[Json] = read(path)["items"]
        return found

    def pod_seconds(self) -> float:
        """How long all pods together have been there, from when each was seen first until it had ended or was gone."""
        first: dict[str, float] = {}
        last: dict[str, float] = {}
        for seen in self.pool.history.all():
            first.setdefault(seen.uid, seen.at)
            if seen.gone or seen.ended:
                last.setdefault(seen.uid, seen.at)
        return sum(last.get(uid, time.time()) - began for uid, began in first.items())


def end_pods(setup: Setup, selector: str) -> None:
    """Take the pods away without the grace of half a minute that a stock runner may use up."""
    delete_pods(setup.pool.namespace, selector, gracePeriodSeconds="1")
    setup.until_zero()


def delete_pods(namespace: str, selector: str, **options: str) -> None:
    """Ask for the deletion of many pods by one request: kubectl makes one for each."""
    query = urlencode({"labelSelector": selector, **options})
    kubectl("delete", "--raw", f"/api/v1/namespaces/{namespace}/pods?{query}")


@contextmanager
def pools() -> Iterator["Pools"]:
    """Makes namespaces, and removes them in the end."""
    with ExitStack() as stack:
        yield Pools(stack)


class Pools:
    """The namespaces of a benchmark."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def make(self, name: str, watched: str = WORKERS) -> Pool:
        """A namespace with a Redis and a producer; `watched` selects its worker pods."""
        pool = Pool(name, watch=partial(PodHistory, chosen=watched))
        self._stack.callback(remove, pool.namespace)
        self._stack.callback(pool.history.close)
        self._stack.callback(pool.queue.close)
        return pool
