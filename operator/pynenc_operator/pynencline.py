"""Which line of pynenc a runner's workers have, as far as they say, and whether it has named queues. Pure."""

import re
from typing import Final

from pynenc_operator.model import Trouble
from pynenc_operator.pool import Pool
from pynenc_worker.contract import QUEUES_UNSUPPORTED

_FIRST_WITH_QUEUES: Final = (0, 4)


def lacks_queues(pool: Pool, trouble: Trouble | None) -> bool:
    """Whether workers of the present template have a pynenc without named queues.

    One refuses to start where queues are named, and says so at its end. A worker of a release that did not know of
    queues yet starts all the same, and serves another queue than those counted; it does not say which pynenc it has.
    """
    if trouble and trouble.reason == QUEUES_UNSUPPORTED:
        return True
    return any(not _has_queues(pod.pynenc) for pod in pool.live if pod.status and not pool.is_old(pod))


def _has_queues(pynenc: str | None) -> bool:
    found = re.match(r"(\d{1,9})\.(\d{1,9})", pynenc or "", re.ASCII)
    return found is not None and (int(found[1]), int(found[2])) >= _FIRST_WITH_QUEUES
