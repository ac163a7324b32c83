"""All runners are listed now and then, and after a gap of their watch: a deletion that it has missed must not stay."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final

from pynenc_operator.config import RESYNC_SECONDS
from pynenc_operator.kube import Kube, KubeError
from pynenc_operator.model import Key
from pynenc_operator.podcache import RunnerCache
from pynenc_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)

_AGAIN_SECONDS: Final = 2.0  # after a list that failed


class Resync:
    """Lists the runners of some namespaces, of all if none is named, and makes those due that changed."""

    def __init__(self, kube: Kube, namespaces: Sequence[str], runners: RunnerCache, queue: WorkQueue[Key]) -> None:
        self.gap = asyncio.Event()  # set when their watch has missed something
        self._kube = kube
        self._namespaces = namespaces
        self._runners = runners
        self._queue = queue

    async def run(self) -> None:
        """List when it is time, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.gap.wait(), RESYNC_SECONDS)
            missed = self.gap.is_set()
            self.gap.clear()
            try:
                for namespace in self._namespaces or (None,):
                    await self.list(namespace)
            except KubeError as error:
                log.warning("resync: %s", error)
                if missed:
                    asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self.gap.set)

    async def list(self, namespace: str | None) -> None:
        """List those of one namespace now, or all that there are.

        :raises KubeError: there is no list
        """
        known = self._runners.known(namespace)
        for key in self._runners.replace(known, await self._kube.list_runners(namespace)):
            self._queue.add(key)
