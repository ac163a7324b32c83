"""All runners are listed now and then, and after a gap of the watch: a deletion that it has missed must not stay."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any, Final

from pynenc_operator.config import RESYNC_SECONDS
from pynenc_operator.kube import Kube, KubeError
from pynenc_operator.model import Key
from pynenc_operator.podcache import PodCache, RunnerCache
from pynenc_operator.workqueue import WorkQueue

type Json = dict[str, Any]

log = logging.getLogger(__name__)

_AGAIN_SECONDS: Final = 2.0  # after a list that failed


async def resync(
    kube: Kube,
    namespaces: Sequence[str],
    pods: PodCache,
    runners: RunnerCache,
    queue: WorkQueue[Key],
    gap: asyncio.Event,
) -> None:
    """List the runners of these namespaces, of all if none is named, until cancelled, and make those due that changed.

    `gap` is set when the watch has missed something: then all pods are listed too.
    """
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(gap.wait(), RESYNC_SECONDS)
        missed = gap.is_set()
        gap.clear()
        found: list[Json] = []
        try:
            for namespace in namespaces or (None,):
                found += await kube.list_runners(namespace)
        except KubeError as error:
            log.warning("resync: %s", error)
            if missed:
                asyncio.get_running_loop().call_later(_AGAIN_SECONDS, gap.set)
            continue
        due = runners.replace(found)
        if missed:  # only now: no pod is made again for a runner that is gone
            log.info("the watch could not go on from where it was: all pods are listed")
            pods.watch_had_a_gap()
            due |= {key for key, _ in runners.items()}
        for key in due:
            queue.add(key)
