"""The tasks that the workers run, and the callers that call them as the plan says."""

import threading
from collections.abc import Sequence

from tests.e2e import usercode
from tests.e2e.pool import Pool
from tests.soak.clock import Clock
from tests.soak.plan import Arrival

_CONNECTED = '"redis://redis:6379"))'
_PATIENT = '"redis://redis:6379"), socket_timeout=5, retry=Retry(ConstantBackoff(0.5), 600))'
# The record of an execution outlives an outage of its Redis: it is the test's, and not what is tried here.
TASKS = usercode.WORKING.replace(_CONNECTED, _PATIENT).replace(
    "from redis import Redis\n",
    "from redis import Redis\nfrom redis.backoff import ConstantBackoff\nfrom redis.retry import Retry\n",
)
assert _PATIENT in TASKS
assert "import Retry\n" in TASKS


class Caller:
    """Calls one runner's tasks.

    A caller gets no answer from a Redis that is away, and does not know then whether its call has come in; so it waits
    for `may_call`, which whoever breaks that Redis holds.
    """

    def __init__(self, pool: Pool, arrivals: Sequence[Arrival]) -> None:
        self.called: dict[str, float] = {}  # how long each task takes, by name
        self.error = ""
        self.may_call = threading.Lock()
        self._pool = pool
        self._arrivals = arrivals

    def run(self, clock: Clock) -> None:
        """Call what is due until all was called or the run is stopped."""
        for arrival in self._arrivals:
            if not clock.until(arrival.at):
                return
            with self.may_call:
                if clock.stopped:
                    return
                try:
                    self.call(*arrival.tasks)
                except (AssertionError, OSError) as error:
                    self.error = f"{type(error).__name__}: {error}"
                    return

    def call(self, *tasks: tuple[str, float]) -> None:
        """Call tasks now; each gets a name of its own."""
        first = len(self.called)
        named = [(kind, seconds, f"{kind}-{first + number}") for number, (kind, seconds) in enumerate(tasks)]
        # Before the call: none may be there that nobody knows of.
        self.called |= {name: seconds for _, seconds, name in named}
        self._pool.enqueue(*named)
