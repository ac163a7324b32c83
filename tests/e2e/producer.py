"""A producer that stays, as a web server does: it calls tasks when it is told to, and knows what became of them.

Each line of its input is a JSON object; each is answered by one line:

    {"call": [["short", 1.0, "a"], ["long", 20.0, "b"]]}    called
    {"histories": true}                                      {"a": ["registered", "pending", "running", "success"], ...}
    {"noted": true}                                          [{"task": "short", "name": "a", "pod": "reports-0"}, ...]

Its environment names the app and its backend.
"""

import functools
import importlib
import json
import sys
from typing import Any

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

_A_MINUTE = Retry(ConstantBackoff(0.5), 120)  # a node that counts as lost for a moment has its Services refuse


def main() -> None:
    """Answer until the input ends."""
    # pynenc-redis takes no settings for it.
    redis.ConnectionPool.from_url = functools.partial(redis.ConnectionPool.from_url, retry=_A_MINUTE)  # type: ignore[method-assign]
    tasks = importlib.import_module("reports.tasks")  # under the name that the workers know it by
    stray = importlib.import_module("tests.e2e.stray")
    print("ready", flush=True)
    invocations: dict[str, Any] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if "histories" in asked:
            print(json.dumps({name: _history(tasks.app, called) for name, called in invocations.items()}), flush=True)
            continue
        if "noted" in asked:
            print(json.dumps([json.loads(line) for line in tasks.noted(0)]), flush=True)
            continue
        for task, seconds, name in asked["call"]:
            invocations[name] = getattr(stray if task == "stray" else tasks, task)(seconds, name)
        print("called", flush=True)


def _history(app: Any, invocation: Any) -> list[str]:
    """The statuses that an invocation has had, in order."""
    entries = app.state_backend.get_history(invocation.invocation_id)
    ordered = sorted(entries, key=lambda entry: entry.status_record.timestamp)
    return [str(entry.status_record.status.value) for entry in ordered]


if __name__ == "__main__":
    main()
