"""Leadership by a coordination Lease: at most one replica acts.

A replica believes that it leads until its renew deadline, counted from when it *sent* its last
successful renewal; another takes over only after it has watched the Lease stand still for the whole
lease duration, by its own monotonic clock. No two clocks are compared, and whatever happens to a
request or to this process, the belief ends by itself. The rules are those of client-go's leader
election; an error there ends the process, here it makes a standby.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pynenc_operator import lease as lease_object
from pynenc_operator.kube_errors import AlreadyExists, Conflict, KubeError, NotFound

type Json = dict[str, Any]

log = logging.getLogger(__name__)

_RETRY_LEADING_SECONDS: Final = 0.5


class Leases(Protocol):
    """The part of the API server that leadership needs. Deadlines are seconds."""

    async def get_lease(self, namespace: str, name: str, deadline: float) -> Json:
        """One Lease."""

    async def create_lease(self, namespace: str, body: Json, deadline: float) -> Json:
        """Create a Lease."""

    async def replace_lease(self, namespace: str, name: str, body: Json, deadline: float) -> Json:
        """Replace a Lease, if it still has the body's resourceVersion."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. pre: retry + request < renew_deadline < duration.

    So one request may be lost without a trace, and an API server that takes two seconds to answer is slow, not gone.
    """

    duration: int = 8  # a Lease that stands still so long is free
    renew_deadline: float = 6.0  # a leader that could not renew so long stops
    retry: float = 2.0  # between renewals of a leader, looks of a standby
    request: float = 3.0  # the deadline of a request


class Leader:
    """One replica's part in the election. `run` takes part in it; the rest says what came of it."""

    def __init__(
        self,
        leases: Leases,
        namespace: str,
        name: str,
        identity: str,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        timing: Timing = Timing(),
    ) -> None:
        self._leases = leases
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._now = now  # only for the times that people read in the Lease
        self._monotonic = monotonic
        self._timing = timing
        self._lease: Json | None = None  # as last seen
        self._unchanged_since = float("-inf")
        self._valid_until = float("-inf")
        self._stand_by_until = float("-inf")
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self._trouble: str | None = None
        self._told_leading = False
        self.last_answer: float | None = None  # monotonic: when the API server last spoke of the Lease
        self.last_attempt = monotonic()  # monotonic: when `run` was last at work

    @property
    def is_leader(self) -> bool:
        """Whether this replica may act at this very moment."""
        return self._monotonic() < self._valid_until

    async def acquired(self) -> None:
        """Wait until this replica leads."""
        while not self.is_leader:
            self._changed.clear()
            await self._changed.wait()

    async def lost(self) -> None:
        """Wait until this replica leads no more: at its deadline at the latest, even if `run` hangs."""
        while self.is_leader:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._valid_until - self._monotonic()):
                    await self._changed.wait()

    async def run(self) -> None:
        """Take part until cancelled; then the Lease is still held, see `release`."""
        while True:
            began = self.last_attempt = self._monotonic()
            async with self._writing:
                succeeded = await self._attempt()
            self._tell()
            await asyncio.sleep(max(0.0, self._next_attempt(began, succeeded=succeeded) - self._monotonic()))

    async def release(self, stand_by_seconds: float = 0.0) -> None:
        """Give the Lease up at once, so that nobody waits for its end; then stand by so long at least.

        To be called when nothing acts any more. If it fails, the Lease ends by itself.
        """
        self._stand_by_until = self._monotonic() + stand_by_seconds
        async with self._writing:
            led = self.is_leader
            self._end()
            if led and self._lease:
                try:
                    await self._hand_back(self._lease)
                except KubeError as error:
                    log.warning("leadership not released, it ends by itself in %d s: %s", self._timing.duration, error)
        self._tell()

    async def _attempt(self) -> bool:
        """Renew or look, and acquire if the Lease is free; whether the API server answered."""
        try:
            if self.is_leader and self._lease:
                await self._renew(self._lease)
            else:
                await self._look_and_acquire()
        except KubeError as error:
            if self._trouble != str(error):
                self._trouble = str(error)
                log.warning("leader election: %s", error)
            return False
        self._trouble = None
        self.last_answer = self._monotonic()
        return True

    async def _hand_back(self, lease: Json) -> None:
        try:
            self._lease = await self._replace(lease, lease_object.RELEASED, self._timing.request)
        except Conflict:  # a renewal that was cut off on its way
            seen = await self._look()
            if lease_object.holder(seen) == self._identity:
                self._lease = await self._replace(seen, lease_object.RELEASED, self._timing.request)

    async def _renew(self, lease: Json) -> None:
        try:
            await self._claim(lease, self._valid_until - self._monotonic())
        except NotFound:
            await self._create()
        except Conflict:
            # Somebody else's, or ours: a renewal whose answer was lost has changed the resourceVersion too.
            seen = await self._look()
            if lease_object.holder(seen) == self._identity:
                await self._claim(seen, self._valid_until - self._monotonic())
            else:
                self._end()

    async def _look_and_acquire(self) -> None:
        try:
            lease = await self._look()
        except NotFound:
            if self._lease:  # deleted: whoever held it believes in it a while longer
                self._lease, self._unchanged_since = None, self._monotonic()
            if self._monotonic() >= max(self._unchanged_since + self._timing.duration, self._stand_by_until):
                await self._create()
            return
        if self._monotonic() >= max(self._free_at(lease), self._stand_by_until):
            with contextlib.suppress(Conflict):  # another was faster
                await self._claim(lease, self._timing.request)

    def _free_at(self, lease: Json) -> float:
        if lease_object.holder(lease) in {"", self._identity}:
            return float("-inf")
        return self._unchanged_since + lease_object.duration(lease, self._timing.duration)

    async def _look(self) -> Json:
        lease = await self._leases.get_lease(self._namespace, self._name, self._timing.request)
        if self._lease is None or lease_object.version(lease) != lease_object.version(self._lease):
            self._unchanged_since = self._monotonic()
        self._lease = lease
        return lease

    async def _create(self) -> None:
        sent = self._monotonic()
        body = lease_object.new(self._namespace, self._name, self._claim_of(None))
        try:
            self._lease = await self._leases.create_lease(self._namespace, body, self._timing.request)
        except AlreadyExists:  # another was faster
            self._end()
        else:
            self._begin(sent)

    async def _claim(self, lease: Json, at_most: float) -> None:
        sent = self._monotonic()
        deadline = max(0.0, min(self._timing.request, at_most))
        self._lease = await self._replace(lease, self._claim_of(lease), deadline)
        self._begin(sent)

    async def _replace(self, lease: Json, spec: Json, deadline: float) -> Json:
        body = lease_object.changed(lease, spec)
        return await self._leases.replace_lease(self._namespace, self._name, body, deadline)

    def _claim_of(self, lease: Json | None) -> Json:
        return lease_object.claim(lease, self._identity, self._timing.duration, self._now())

    def _begin(self, sent: float) -> None:
        self._valid_until = sent + self._timing.renew_deadline
        self._changed.set()

    def _end(self) -> None:
        self._valid_until = float("-inf")
        self._changed.set()

    def _next_attempt(self, began: float, *, succeeded: bool) -> float:
        regular = began + self._timing.retry
        if self.is_leader:
            return regular if succeeded else self._monotonic() + _RETRY_LEADING_SECONDS
        if succeeded and self._lease:
            expected = max(self._free_at(self._lease), self._stand_by_until)
            return min(regular, max(expected, began + _RETRY_LEADING_SECONDS))
        return regular

    def _tell(self) -> None:
        if self.is_leader != self._told_leading:
            self._told_leading = self.is_leader
            log.info("%s leading as %s", "started" if self._told_leading else "stopped", self._identity)
