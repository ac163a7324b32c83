"""Workers' reports without workers: what each would write on its pod, so many a second."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Iterable

from pynenc_operator.clock import Clock
from pynenc_operator.conditions import rfc3339
from pynenc_operator.kube import Kube
from pynenc_operator.kube_connection import Connection
from pynenc_worker import contract
from pynenc_worker.contract import WorkerState

AT_A_TIME = 20


class Reporters:
    """The workers of a namespace's pods."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._states: dict[str, WorkerState] = {}  # by pod, what it has said last
        self._chance = random.Random(7)  # noqa: S311 - nothing is to be kept secret

    def begin(self, pods: Iterable[str]) -> None:
        """Each of these says that it is at work."""

        async def report(kube: Kube) -> None:
            places = asyncio.Semaphore(AT_A_TIME)

            async def one(name: str) -> None:
                async with places:
                    await self._report(kube, name, WorkerState.ACTIVE)

            await asyncio.gather(*(one(name) for name in pods))

        asyncio.run(self._connected(report))

    def report(self, seconds: float, rate: float) -> None:
        """One after the other becomes idle if it was active, else active, at random moments, `rate` a second."""

        async def report(kube: Kube) -> None:
            end = due = time.monotonic()
            end += seconds
            pods = list(self._states)
            async with asyncio.TaskGroup() as group:
                while (due := due + self._chance.expovariate(rate)) < end:
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                    name = self._chance.choice(pods)
                    idle = self._states[name] is WorkerState.IDLE
                    group.create_task(self._report(kube, name, WorkerState.ACTIVE if idle else WorkerState.IDLE))
                await asyncio.sleep(max(0.0, end - time.monotonic()))

        asyncio.run(self._connected(report))

    async def _connected(self, work: Callable[[Kube], Coroutine[None, None, None]]) -> None:
        connection = await Connection.open(Clock(), lambda *_: None)
        try:
            await work(Kube(connection))
        finally:
            await connection.close()

    async def _report(self, kube: Kube, name: str, state: WorkerState) -> None:
        self._states[name] = state
        annotations = {
            contract.WORKER_STATE: state,
            contract.WORKER_STATE_SINCE: rfc3339(time.time()),
            contract.ACTIVE_INVOCATIONS: str(int(state is WorkerState.ACTIVE)),
        }
        await kube.patch_pod_annotations(self._namespace, name, "", annotations)  # whatever version it is at
