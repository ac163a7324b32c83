"""An app's queues in Redis: the commands that count them, what the answers come to, and which keys tell of arrivals.

A queue is a list, first in, first out, and a sorted set of what has a priority (`pynenc_worker.queuekeys`). Both lines
of pynenc are counted so: 0.3 has the list of `default` alone. Where a runner names no queues, those that the app has
ever used are counted; their names stand in Redis too, and are read with each count for the next one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pynenc_operator.arrivals import Quiet
from pynenc_operator.backends import BrokerError, BrokerErrorKind
from pynenc_operator.model import QueueMark
from pynenc_worker import queuekeys

# Redis looks through this many entries in a fraction of a millisecond.
MOST_LOOKED_AT: Final = 10_000
# What has a priority has no place that it came to: so few are read, that it can be told who has stayed.
MOST_READ: Final = 50


@dataclass(frozen=True, slots=True)
class Queues:
    """The queues of one app that are spoken of. `prefix` is the plugin's for the app's broker."""

    prefix: str
    names: tuple[str, ...]
    all: bool  # that there are; `names` are those known

    @classmethod
    def of(cls, prefix: str, chosen: tuple[str, ...], known: Iterable[str]) -> "Queues":
        """Those chosen, or else all, of which `known` are known beside `default`."""
        return cls(prefix, chosen or tuple(dict.fromkeys((queuekeys.DEFAULT, *known))), not chosen)

    def counting(self, since: dict[str, QueueMark]) -> list[tuple[str | bytes | int, ...]]:
        """The commands of a count."""
        commands: list[tuple[str | bytes | int, ...]] = []
        if self.all:
            commands.append(("SRANDMEMBER", queuekeys.names(self.prefix), queuekeys.MOST_QUEUES + 1))
        for name in self.names:
            listed, prioritized = queuekeys.listed(self.prefix, name), queuekeys.prioritized(self.prefix, name)
            commands += [("LLEN", listed), ("LINDEX", listed, -1)]
            commands += [("ZCARD", prioritized), ("ZRANGE", prioritized, 0, MOST_READ - 1)]
            if (mark := since.get(name)) and mark.newest:
                most = min(max(1, mark.listed), MOST_LOOKED_AT)
                commands.append(("LPOS", listed, mark.newest.encode(errors="surrogateescape"), "MAXLEN", most))
        return commands

    def unknown(self, answer: Iterable[bytes]) -> tuple[str, ...]:
        """The queues among the names of all that are not spoken of yet.

        :raises BrokerError: there are too many
        """
        found = sorted(raw.decode() for raw in answer)
        if len(found) > queuekeys.MOST_QUEUES:
            raise BrokerError(
                BrokerErrorKind.UNSUPPORTED,
                f"its app has used more than {queuekeys.MOST_QUEUES} queues: name those that count in spec.queues",
            )
        return tuple(name for name in found if name not in self.names)

    def unknown_by(self, answers: Sequence[Any]) -> tuple[str, ...]:
        """The same, of the answers to a count."""
        return self.unknown(answers[0]) if self.all else ()

    def marks(self, answers: Sequence[Any], since: dict[str, QueueMark]) -> tuple[list[QueueMark], int]:
        """How far each queue reaches by the answers to a count, and how many have stayed `since`.

        A queue whose name Redis has lost, and that has no entry, is in use no more.
        """
        rest, marks, stayed = list(answers[self.all :]), [], 0
        used = {queuekeys.DEFAULT, *(raw.decode() for raw in answers[0])} if self.all else set(self.names)
        for name in self.names:
            listed, newest, prioritized, members = rest[:4]
            del rest[:4]
            numbers = list(map(queuekeys.number_of, members)) if prioritized <= MOST_READ else []
            mark = since.get(name)
            if mark:
                stayed += _stayed_prioritized(numbers, prioritized, mark)
                if mark.newest:
                    stayed += _stayed(rest.pop(0), mark.listed, listed)
            latest = max(numbers, default=None)
            last = newest.decode(errors="surrogateescape") if newest else None
            if name in used or listed or prioritized:
                marks.append(QueueMark(name, last, listed, prioritized, latest))
        return marks, stayed

    def quiet(self) -> tuple[Quiet, ...]:
        """What these queues' keys say while all of them are empty and no other queue is used."""
        keys = (key(self.prefix, name) for name in self.names for key in (queuekeys.listed, queuekeys.prioritized))
        names = Quiet("SCARD", queuekeys.names(self.prefix), len(self.names) - 1)
        return (*(Quiet("EXISTS", key, 0) for key in keys), *([names] if self.all else []))


def _stayed(position: int | None, upto: int, waiting: int) -> int:
    """How many of a list have stayed; of more than are looked at, as many as could have."""
    if position is not None:
        return int(position) + 1
    return min(upto, waiting) if upto > MOST_LOOKED_AT else 0


def _stayed_prioritized(numbers: Sequence[int], prioritized: int, mark: QueueMark) -> int:
    """How many of what has a priority have stayed; where they are too many to be read, as many as could have."""
    if mark.latest is None or prioritized > MOST_READ:
        return min(mark.prioritized, prioritized)
    return sum(number <= mark.latest for number in numbers)


def heads(client: Any, queues: Queues) -> list[str]:  # noqa: ANN401
    """The ids that are next in each queue."""
    with client.pipeline(transaction=False) as pipe:
        for name in queues.names:
            pipe.lrange(queuekeys.listed(queues.prefix, name), 0, 0)
            pipe.zrange(queuekeys.prioritized(queues.prefix, name), 0, 0)
        answers = pipe.execute()
    listed = [raw.decode() for found in answers[::2] for raw in found]
    return [*listed, *(queuekeys.id_of(member) for found in answers[1::2] for member in found)]
