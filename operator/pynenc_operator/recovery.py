"""Rule 8: nobody's invocations are forgotten. Which dead runners wait, and who is asked to recover them.

Pure. A runner is dead when its worker had reported and ended without `drained`; then its id, the pod's
UID, is named on one living worker, which has the app and hands exactly its invocations on. The dead pod
stays until that worker answers, and is marked then. What is held without any pod left to tell of it, the
backend's own figures show: then one worker lives for as long as pynenc needs to find out.
"""

from dataclasses import dataclass
from typing import Final

from pynenc_operator import pool as pools
from pynenc_operator.decision import Mark, Name
from pynenc_operator.model import Observation, WorkerPod
from pynenc_operator.pool import Pool

# The answer is one annotation of at most 1,024 characters: 27 ids of 36 fit.
MOST_NAMED: Final = 25
# pynenc's runner_considered_dead_after, 10 minutes, and 5 for a start and its turn.
ORPHANS_SECONDS: Final = 900.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """What is to be written for the dead; whose invocations still wait; whether a worker has to live for them."""

    steps: tuple[Name | Mark, ...] = ()
    waiting: tuple[str, ...] = ()
    orphaned: bool = False

    @property
    def wants_worker(self) -> bool:
        """Whether rule 8 raises the floor to 1."""
        return bool(self.waiting) or self.orphaned


def plan(pool: Pool, seen: Observation, now: float) -> Recovery:
    """Decide who recovers what; the same whoever decides, and nothing once all of it is done."""
    answered = {runner_id: pod for pod in seen.pods for runner_id in pod.recovered}
    dead = sorted((pod for pod in seen.pods if pod.died and not pod.recovered_by), key=_by_death)
    open_names = [runner_id for pod in seen.pods for runner_id in pod.recover if runner_id not in pod.recovered]
    ids = dict.fromkeys((*(pod.uid for pod in dead), *seen.vanished, *open_names))
    waiting = tuple(runner_id for runner_id in ids if runner_id not in answered)
    marks = tuple(Mark(pod, answered[pod.uid].name) for pod in dead if pod.uid in answered)
    return Recovery((*marks, *_names(pool, waiting, dead)), waiting, _orphaned(seen, now))


def _names(pool: Pool, waiting: tuple[str, ...], dead: list[WorkerPod]) -> tuple[Name, ...]:
    """New lists for living workers: what is not answered yet stays named, and an answer until it is written down."""
    workers = (*pool.idle, *pool.active)
    unmarked = {pod.uid for pod in dead}
    lists = {
        pod.uid: [name for name in pod.recover if name not in pod.recovered or name in unmarked] for pod in workers
    }
    named = {runner_id for names in lists.values() for runner_id in names}
    recoverer = _recoverer(pool)
    if recoverer is not None:
        fresh = [runner_id for runner_id in waiting if runner_id not in named]
        names = lists[recoverer.uid]
        names += fresh[: max(0, MOST_NAMED - len(names))]
    return tuple(Name(pod, tuple(lists[pod.uid])) for pod in workers if tuple(lists[pod.uid]) != pod.recover)


def _recoverer(pool: Pool) -> WorkerPod | None:
    """The one that already recovers, else one that will stay: of the present template, idle, the newest."""
    workers = (*pools.newest_first(pool.idle), *pools.newest_first(pool.active))
    return min(workers, key=lambda pod: (not _is_recovering(pod), pool.is_old(pod)), default=None)


def _is_recovering(pod: WorkerPod) -> bool:
    """Whether a worker has been asked to recover somebody and has not answered yet."""
    return bool(set(pod.recover) - set(pod.recovered))


def _orphaned(seen: Observation, now: float) -> bool:
    return seen.orphans is not None and now - seen.orphans.since < ORPHANS_SECONDS


def _by_death(pod: WorkerPod) -> tuple[float, str]:
    return (pod.ended_at or pod.created, pod.uid)
