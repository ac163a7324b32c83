"""An app's queue in MongoDB and whose work it is, read as pynenc-mongo keeps it. It blocks: to be called in threads.

Not through the plugin: it makes collections and indexes where it only looks, counts by reading the whole queue, waits
for half a minute, and holds the client at a release of 2021. Tests compare what is read here with what pynenc says.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pynenc_operator.mongoconnection import Client, told

# Up to here the entries themselves are counted. The server's own number, which costs nothing at
# any length, may be wrong after it has crashed, and for good: it may not decide between an empty queue and one entry.
COUNTED_EXACTLY: Final = 1_000
_LONGEST_PREFIX: Final = 40


class MongoQueue:
    """One app's collections. Each method is one question; BrokerError if it has no answer in time."""

    def __init__(self, client: Client, database: str, app_id: str) -> None:
        self.client = client
        prefix = collection_prefix(app_id)
        collections = client[database]
        self._queue = collections[f"{prefix}_broker_message_queue"]
        self._invocations = collections[f"{prefix}_orchestrator_invocations"]
        self._heartbeats = collections[f"{prefix}_orchestrator_runner_heartbeats"]

    def count_invocations(self) -> int:
        """How many invocations wait: exact up to COUNTED_EXACTLY, above it at least that many, as the server says."""
        with told(self.client):
            counted = self._queue.count_documents({}, limit=COUNTED_EXACTLY)
            if counted < COUNTED_EXACTLY:
                return counted
            return max(counted, self._queue.estimated_document_count())

    def count_statuses(self, statuses: Sequence[str]) -> dict[str, int]:
        """How many invocations are in each of these statuses, by the plugin's index: costs as much as there are."""
        with told(self.client):
            return {status: self._invocations.count_documents({"status": status}) for status in statuses}

    def last_heartbeats(self, runner_ids: Sequence[str], most: int) -> list[tuple[str, float]]:
        """The last heartbeats of these runners, or of all, of so many at `most`: the latest, by an index."""
        query = {"runner_id": {"$in": list(runner_ids)}} if runner_ids else {}
        fields = {"_id": 0, "runner_id": 1, "last_heartbeat": 1}
        with told(self.client):
            found = self._heartbeats.find(query, fields).sort("last_heartbeat", -1).limit(most)
            return [(str(one["runner_id"]), float(one["last_heartbeat"])) for one in found]

    def head_ready_since(self) -> float | None:
        """Since when the entry that is next has been ready to run, by the clock of whoever put it there."""
        with told(self.client):
            head = self._queue.find_one({}, {"invocation_id": 1}, sort=[("created_at", 1)])
            query = {"invocation_id": head["invocation_id"]} if head else None
            record = query and self._invocations.find_one(query, {"status_timestamp": 1})
        ready: Any = record and record["status_timestamp"]
        return ready.replace(tzinfo=UTC).timestamp() if isinstance(ready, datetime) else None


def collection_prefix(app_id: str) -> str:
    """What pynenc-mongo begins the names of an app's collections with."""
    name = re.sub(r"[^a-zA-Z0-9_]", "_", app_id)
    name = f"_{name}" if name[:1].isdigit() else name or "_default"
    digest = hashlib.sha256(app_id.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST_PREFIX - len(digest) - 1]}_{digest}"
