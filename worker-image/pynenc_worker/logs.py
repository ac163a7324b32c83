"""The worker's log: one line per event on stdout, as JSON when pynenc's own log is."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

log: Final = logging.getLogger("pynenc_worker")


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record).replace("\n", "\n    ")
        return f"{_timestamp(record)} {record.levelname:<8} {record.name} {message}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {"timestamp": _timestamp(record), "severity": record.levelname, "logger": record.name}
        return json.dumps({**entry, "message": super().format(record)})


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def configure(environ: Mapping[str, str]) -> None:
    """Send the worker's log to stdout; pynenc has handlers of its own for its own."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Json() if environ.get("PYNENC__LOG_FORMAT", "").lower() == "json" else _Line())
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
