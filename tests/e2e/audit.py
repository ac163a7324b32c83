"""Who has asked the API server for what, from its audit log."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.cluster.paths import ClusterPaths

MARK = "audit-mark"
READS = frozenset({"get", "list", "watch"})

type Json = dict[str, Any]


def mark() -> None:
    """From here on the requests count that `requests_of` tells of."""
    paths = ClusterPaths.current()
    (paths.state / MARK).write_text(str(paths.audit_log.stat().st_size))


def requests_of(user: str) -> Iterator[Json]:
    """What a user has asked for since the mark, and how it was answered."""
    paths = ClusterPaths.current()
    begin = int((paths.state / MARK).read_text())
    return (entry for entry in _entries(paths.audit_log, begin) if entry["user"]["username"] == user)


def _entries(log: Path, begin: int) -> Iterator[Json]:
    """The requests that the log tells of from a byte on, but those that were made in another's name."""
    assert log.stat().st_size >= begin, "the API server has begun another audit log: what was asked is not all there"
    with log.open() as lines:
        lines.seek(begin)
        for line in lines:
            if not line.endswith("\n"):
                return  # it is being written
            entry = json.loads(line)
            if "impersonatedUser" not in entry:
                yield entry


class Audit:
    """The requests answered since this was made."""

    def __init__(self) -> None:
        self._log: Path = ClusterPaths.current().audit_log
        self._begin = self._log.stat().st_size

    def of(self, user: str, namespace: str | None = None) -> Counter[tuple[str, str]]:
        """(verb, resource) of the requests of users whose names begin so; watches are counted when they end."""
        counts: Counter[tuple[str, str]] = Counter()
        for entry in _entries(self._log, self._begin):
            target = entry.get("objectRef", {})
            if not entry["user"]["username"].startswith(user):
                continue
            if namespace is not None and target.get("namespace") != namespace:
                continue
            counts[_what(entry)] += 1
        return counts

    def granted(self, verb: str, resource: str, namespace: str) -> list[float]:
        """When the API server had done what was asked of it (Unix seconds), by whomever, in order."""
        entries = (e for e in _entries(self._log, self._begin) if e.get("objectRef", {}).get("namespace") == namespace)
        done = (e for e in entries if _what(e) == (verb, resource) and e["responseStatus"]["code"] < 300)
        return sorted(datetime.fromisoformat(entry["stageTimestamp"]).timestamp() for entry in done)


def _what(entry: Json) -> tuple[str, str]:
    """Verb and resource of a request."""
    target = entry.get("objectRef", {})
    resource = "/".join(filter(None, (target.get("resource"), target.get("subresource"))))
    dry_run = " (dry run)" if "dryRun=All" in entry["requestURI"] else ""
    return entry["verb"] + dry_run, resource or entry["requestURI"]
