"""Enqueues what it is told to, as a producer does: its environment names the app and its backend.

python -m tests.e2e.producer '[["short", 1.0, "a"], ["long", 20.0, "b"]]'
"""

import importlib
import json
import sys


def main() -> None:
    """Call each task once."""
    tasks = importlib.import_module("reports.tasks")  # under the name that the workers know it by
    for task, seconds, name in json.loads(sys.argv[1]):
        getattr(tasks, task)(seconds, name)


if __name__ == "__main__":
    main()
