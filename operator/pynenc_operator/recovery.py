"""Rule 8: nobody's invocations are forgotten. Which dead runners wait, and who is asked to recover them.

Pure. A runner is dead when its worker had reported and ended without `drained`; then its id, the pod's
UID, is named on one living worker, which has the app and hands exactly its invocations on. The dead pod
stays until that worker answers, and is marked then. What is held without any pod left to tell of it, the
backend's own figures show: then one worker lives for as long as pynenc needs to find out, whenever it can come.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pynenc_operator import pool as pools
from pynenc_operator.decision import Mark, Name
from pynenc_operator.model import Observation, Orphans, WorkerPod
from pynenc_operator.pool import Pool

# The answer is one annotation of at most 1,024 characters: 27 ids of 36 fit.
MOST_NAMED: Final = 25
# A worker answers about 70 s after it was asked; one that has not for so long may hang, and another one is asked.
ANSWER_SECONDS: Final = 600.0
# pynenc's runner_considered_dead_after, 10 minutes, and 5 for a start and its turn.
ORPHANS_SECONDS: Final = 900.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """What is to be written for the dead; whose invocations still wait; whether a worker has to live for them."""

    steps: tuple[Name | Mark, ...] = ()
    waiting: tuple[str, ...] = ()
    orphaned: bool = False
    silent: int = 0  # workers that were asked and have not answered for too long

    @property
    def floor(self) -> int:
        """How many workers rule 8 wants: one that recovers, beside those that should have."""
        return 1 + self.silent if self.waiting or self.orphaned else 0


def plan(pool: Pool, seen: Observation, now: float) -> Recovery:
    """Decide who recovers what; the same whoever decides, and nothing once all of it is done."""
    if not seen.vanished and not any(pod.died or pod.recover or pod.recovered for pod in seen.pods):
        return Recovery(orphaned=_orphaned(seen))  # nearly always: nobody has died
    answered = {runner_id: pod for pod in seen.pods for runner_id in pod.recovered}
    settled = {pod.uid for pod in seen.pods if pod.recovered_by}
    dead = sorted((pod for pod in seen.pods if pod.died and not pod.recovered_by), key=_by_death)
    open_names = [name for pod in seen.pods if not pod.recovered_by for name in _open(pod)]
    ids = dict.fromkeys((*(pod.uid for pod in dead), *seen.vanished, *open_names))
    waiting = tuple(runner_id for runner_id in ids if runner_id not in answered and runner_id not in settled)
    named = {runner_id for pod in pool.workers for runner_id in pod.recover}
    # What a dead recoverer had not done has to stand elsewhere before its own list is called settled.
    done = [pod for pod in dead if pod.uid in answered and set(_open(pod)) <= named | answered.keys() | settled]
    late = seen.recovery_since is not None and now - seen.recovery_since > ANSWER_SECONDS and seen.depth is not None
    silent = frozenset(pod.uid for pod in pool.workers if late and _open(pod))
    marks = tuple(Mark(pod, answered[pod.uid].name) for pod in done)
    return Recovery((*marks, *_names(pool, waiting, dead, silent)), waiting, _orphaned(seen), len(silent))


def _names(pool: Pool, waiting: tuple[str, ...], dead: list[WorkerPod], silent: frozenset[str]) -> tuple[Name, ...]:
    """New lists for living workers: what is not answered yet stays named, and an answer until nobody asks any more.

    What stands on workers that have been `silent` for too long is named on another one as well.
    """
    workers = pool.workers
    asked = {pod.uid for pod in dead} | {name for pod in dead for name in _open(pod)}
    lists = {pod.uid: [name for name in pod.recover if name not in pod.recovered or name in asked] for pod in workers}
    named = {runner_id for uid, names in lists.items() if uid not in silent for runner_id in names}
    recoverer = _recoverer(pool, silent)
    if recoverer is not None:
        fresh = [runner_id for runner_id in waiting if runner_id not in named and runner_id != recoverer.uid]
        names = lists[recoverer.uid]
        names += fresh[: max(0, MOST_NAMED - len(names))]
    return tuple(Name(pod, tuple(lists[pod.uid])) for pod in workers if tuple(lists[pod.uid]) != pod.recover)


def _recoverer(pool: Pool, silent: frozenset[str]) -> WorkerPod | None:
    """The one that already recovers, else one that will stay: of the present template, idle, the newest."""
    workers = (*pools.newest_first(pool.idle), *pools.newest_first(pool.active))
    able = [pod for pod in workers if pod.uid not in silent]
    return min(able, key=lambda pod: (not _open(pod), pool.is_old(pod)), default=None)


def _open(pod: WorkerPod) -> list[str]:
    """Whom a worker was asked to recover and has not answered for."""
    return [runner_id for runner_id in pod.recover if runner_id not in pod.recovered]


def searched_for(orphans: Orphans, heard_since: Iterable[float], now: float) -> bool:
    """Whether a worker that lives has had the time to find them, had they been a dead runner's.

    Not only time has to pass: with a pin of 0, a pause, a template that can't start, or an outage, nobody looks. So
    `heard_since` is since when each worker's heartbeat is in the backend, which has answered ever since.
    """
    return any(now - max(orphans.since, since) >= ORPHANS_SECONDS for since in heard_since)


def _orphaned(seen: Observation) -> bool:
    return seen.orphans is not None and not seen.orphans.given_up


def _by_death(pod: WorkerPod) -> tuple[float, str]:
    return (pod.ended_at or pod.created, pod.uid)
